{{/* The template of a pod, of both modes. */}}
{{- define "tidegate.pod" -}}
metadata:
  labels:
    {{- include "tidegate.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "tidegate.config" . | sha256sum }}
    {{- if and .Values.auth.password (not .Values.auth.existingSecret) }}
    checksum/secret: {{ .Values.auth.password | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tidegate.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (int .Values.drain.delaySeconds) (int .Values.drain.timeoutSeconds) (int .Values.drain.graceSeconds) }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "tidegate.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  initContainers:
    # Puts secrets into the configuration and has the program check it: a mistake is said here, in its log.
    - name: configure
      image: {{ include "tidegate.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [sh, /etc/tidegate/template/configure.sh]
      {{- with include "tidegate.secretEnv" . }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        requests: {cpu: 10m, memory: 64Mi}
        limits: {memory: 256Mi}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: template, mountPath: /etc/tidegate/template, readOnly: true}
        - {name: config, mountPath: /etc/tidegate/config}
        {{- with include "tidegate.secretMounts" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  containers:
    {{- include "tidegate.container" . | nindent 4 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: template
      configMap: {name: {{ include "tidegate.fullname" . }}}
    - name: config
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    {{- if not (and (eq .Values.mode "engine") .Values.engine.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if .Values.admin.tokenSecret }}
    - name: admin-token
      secret:
        secretName: {{ .Values.admin.tokenSecret }}
        items: [{key: {{ .Values.admin.tokenKey | quote }}, path: token}]
    {{- end }}
    {{- range $name, $secret := .Values.tlsSecrets }}
    - name: tls-{{ $name }}
      secret: {secretName: {{ $secret | quote }}}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "tidegate.container" -}}
- name: tidegate
  image: {{ include "tidegate.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - /etc/tidegate/config/tidegate.yaml
    {{- range .Values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  {{- with .Values.extraEnv }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: redis, containerPort: 6379}
    - {name: admin, containerPort: {{ .Values.admin.port }}}
    {{- range .Values.extraListeners }}
    - {name: {{ .name }}, containerPort: {{ .port }}}
    {{- end }}
  # While the data are read the admin address answers, and /readyz says 503.
  startupProbe:
    httpGet: {path: /readyz, port: admin}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: {{ div (int .Values.startupProbe.timeoutSeconds) 2 }}
  livenessProbe:
    httpGet: {path: /healthz, port: admin}
    {{- toYaml .Values.livenessProbe | nindent 4 }}
  readinessProbe:
    httpGet: {path: /readyz, port: admin}
    {{- toYaml .Values.readinessProbe | nindent 4 }}
  # The pod leaves the Service at the same moment; until everybody knows, new connections still come here.
  lifecycle:
    preStop:
      exec: {command: [sleep, {{ .Values.drain.delaySeconds | quote }}]}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/tidegate/config, readOnly: true}
    - {name: data, mountPath: /data}
    {{- with include "tidegate.secretMounts" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "tidegate.secretEnv" -}}
{{- if or (include "tidegate.hasAuth" .) .Values.secretValues -}}
env:
  {{- if include "tidegate.hasAuth" . }}
  - name: TIDEGATE_PASSWORD
    valueFrom:
      secretKeyRef: {name: {{ include "tidegate.authSecret" . }}, key: {{ .Values.auth.key | quote }}}
  {{- end }}
  {{- range $name, $from := .Values.secretValues }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef: {name: {{ $from.name | quote }}, key: {{ $from.key | quote }}}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "tidegate.secretMounts" -}}
{{- if .Values.admin.tokenSecret }}
- {name: admin-token, mountPath: /etc/tidegate/admin, readOnly: true}
{{- end }}
{{- range $name, $secret := .Values.tlsSecrets }}
- {name: tls-{{ $name }}, mountPath: /etc/tidegate/tls/{{ $name }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "tidegate.placement" -}}
{{- if .Values.affinity -}}
affinity:
  {{- toYaml .Values.affinity | nindent 2 }}
{{- else if eq .Values.antiAffinity "hard" -}}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "tidegate.selector" . | nindent 12 }}
{{- else if eq .Values.antiAffinity "soft" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "tidegate.selector" . | nindent 14 }}
{{- end }}
{{- if .Values.topologySpread.enabled }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ .Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "tidegate.selector" . | nindent 8 }}
{{- end }}
{{- end -}}
