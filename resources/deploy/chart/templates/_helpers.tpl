{{- define "portolan.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "portolan.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portolan.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "portolan.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "portolan.port" -}}
{{- get .Values.settings "APPLICATION__PORT" | default 8000 -}}
{{- end -}}

{{- /* Every route is below it, health and metrics as well. */ -}}
{{- define "portolan.pathPrefix" -}}
{{- with get .Values.settings "OCEAN__PATH_PREFIX" | trimAll "/" }}/{{ . }}{{ end -}}
{{- end -}}

{{- /* A Redis keeps what waits; one replica without it needs a volume for that. */ -}}
{{- define "portolan.hasVolume" -}}
{{- if and .Values.persistence.enabled (not .Values.redis.enabled) }}true{{ end -}}
{{- end -}}
