{{/* Names. The longest suffix is "-headless"; a StatefulSet's name may have 52 characters, a Service's 63. */}}
{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc (sub 49 (len $name) | int) | trimSuffix "-") $name | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "tidegate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Whether one Service in front of all pods makes sense: not of several engines, each of which has other keys. */}}
{{- define "tidegate.hasService" -}}
{{- if or (eq .Values.mode "proxy") (le (int .Values.replicaCount) 1) }}yes{{ end -}}
{{- end -}}

{{- define "tidegate.clientLabel" -}}
{{ include "tidegate.fullname" . }}-client
{{- end -}}

{{- define "tidegate.hasAuth" -}}
{{- if or .Values.auth.existingSecret .Values.auth.password }}yes{{ end -}}
{{- end -}}

{{- define "tidegate.authSecret" -}}
{{- default (include "tidegate.fullname" .) .Values.auth.existingSecret -}}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "tidegate.check" -}}
{{- if and (eq .Values.mode "proxy") (not .Values.clusters) -}}
{{- fail "mode is proxy, but clusters is empty: say which Redis it stands in front of, as {name: cache, kind: redis, nodes: [\"redis:6379\"]}" -}}
{{- end -}}
{{- if and .Values.engine.persistence.tiered (not .Values.engine.persistence.enabled) -}}
{{- fail "engine.persistence.tiered needs engine.persistence.enabled" -}}
{{- end -}}
{{- if and .Values.engine.persistence.tiered (eq .Values.engine.maxmemoryPolicy "noeviction") -}}
{{- fail "engine.persistence.tiered needs an engine.maxmemoryPolicy that chooses keys" -}}
{{- end -}}
{{- end -}}
