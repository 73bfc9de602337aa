{{/*
tidegate.yaml before secrets are put in: the settings that values name, then `settings`, which win. Passwords stand in it as
$(NAME); the init container of _pod.tpl replaces them, so no ConfigMap holds one.
*/}}
{{- define "tidegate.config" -}}
{{- $v := .Values -}}
{{- $main := dict "name" "tcp" "address" (list "*:6379" "-[::]:6379") -}}
{{- if $v.proxyProtocol }}{{ $_ := set $main "proxy_protocol" "yes" }}{{ end -}}
{{- $listeners := list $main -}}
{{- range $v.extraListeners -}}
{{- $listener := dict "name" .name "address" (list (printf "*:%d" (int .port)) (printf "-[::]:%d" (int .port))) -}}
{{- if .cluster }}{{ $_ := set $listener "cluster" .cluster }}{{ end -}}
{{- $listeners = append $listeners $listener -}}
{{- end -}}
{{- $admin := dict "address" (printf "0.0.0.0:%d" (int $v.admin.port)) -}}
{{- if $v.admin.tokenSecret }}{{ $_ := set $admin "token_file" "/etc/tidegate/admin/token" }}{{ end -}}
{{- $clusters := $v.clusters -}}
{{- if eq $v.mode "engine" -}}
{{- $engine := dict "name" "local" "kind" "engine" "dir" "/data" "maxmemory" $v.engine.maxmemory "maxmemory-policy" $v.engine.maxmemoryPolicy -}}
{{- if $v.engine.persistence.enabled -}}
{{- $_ := set $engine "appendonly" "yes" -}}
{{- $_ := set $engine "appendfsync" $v.engine.persistence.fsync -}}
{{- if $v.engine.persistence.tiered }}{{ $_ := set $engine "tiered" "yes" }}{{ end -}}
{{- end -}}
{{- $clusters = prepend $clusters (merge (deepCopy $v.engine.settings) $engine) -}}
{{- end -}}
{{- $config := dict "profile" $v.profile "workers" $v.workers "listeners" $listeners "admin" $admin "clusters" $clusters "shutdown-timeout" (int $v.drain.timeoutSeconds) -}}
{{- if $v.routes }}{{ $_ := set $config "routes" $v.routes }}{{ end -}}
{{- if $v.commands }}{{ $_ := set $config "commands" $v.commands }}{{ end -}}
{{- if include "tidegate.hasAuth" . -}}
{{- $_ := set $config "requirepass" "$(TIDEGATE_PASSWORD)" -}}
{{- else -}}
{{- $_ := set $config "protected-mode" "no" -}}
{{- end -}}
{{- toYaml (merge (deepCopy $v.settings) $config) -}}
{{- end -}}
