{{- define "lockstep.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lockstep.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lockstep.labels" -}}
{{ include "lockstep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lockstep.metadata" -}}
name: {{ include "lockstep.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "lockstep.labels" . | nindent 2 }}
{{- end -}}

{{- define "lockstep.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{/* The claim of the models' volume, or nothing. */}}
{{- define "lockstep.claim" -}}
{{- with .Values.model.volume -}}
{{- if .existingClaim }}{{ .existingClaim }}{{ else if .claim.create }}{{ include "lockstep.fullname" $ }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Whether the volume is a claim that the chart makes, and that one node, or one pod, may use. */}}
{{- define "lockstep.claimOfOne" -}}
{{- with .Values.model.volume -}}
{{- if and .claim.create (not .existingClaim) (not (has "ReadWriteMany" .claim.accessModes)) (not (has "ReadOnlyMany" .claim.accessModes)) -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A new pod may be put on another node, where such a claim cannot follow before the old one ends. */}}
{{- define "lockstep.strategy" -}}
{{- $type := default (ternary "Recreate" "RollingUpdate" (eq (include "lockstep.claimOfOne" .) "true")) .Values.strategy.type -}}
{{- if eq $type "Recreate" -}}
type: Recreate
{{- else -}}
{{ toYaml (merge (dict "type" $type) .Values.strategy) }}
{{- end -}}
{{- end -}}

{{/* Whether there may be more than one replica. */}}
{{- define "lockstep.several" -}}
{{- if ne .Values.autoscaling.kind "none" -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 }}true{{ end -}}
{{- else if gt (int .Values.replicas) 1 }}true{{ end -}}
{{- end -}}

{{/* What picks this release's pods in Prometheus. */}}
{{- define "lockstep.series" -}}
namespace="{{ .Release.Namespace }}",pod=~"{{ include "lockstep.fullname" . }}-[a-z0-9]+-[a-z0-9]+"
{{- end -}}

{{- define "lockstep.picker" -}}
{{ default (printf "%s-epp" (include "lockstep.fullname" .)) .Values.inferencePool.endpointPicker.service }}
{{- end -}}

{{/* The variables that the chart sets itself. */}}
{{- define "lockstep.ownEnv" -}}
- {name: LOCKSTEP_HOST, value: "::"}
- {name: LOCKSTEP_PORT, value: "8080"}
- {name: LOCKSTEP_DRAIN_DELAY, value: {{ .Values.drain.delay | quote }}}
- {name: LOCKSTEP_DRAIN_TIMEOUT, value: {{ .Values.drain.timeout | quote }}}
- {name: HF_HUB_CACHE, value: /models}
- {name: LOCKSTEP_CACHE_DIR, value: /models/.lockstep}
{{- if .Values.model.file }}
- {name: LOCKSTEP_MODEL, value: {{ printf "/models/%s" .Values.model.file | quote }}}
{{- else if .Values.model.hf }}
- {name: LOCKSTEP_HF, value: {{ .Values.model.hf | quote }}}
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- {name: LOCKSTEP_API_KEY_FILE, value: /keys/keys}
{{- end }}
{{- if .Values.kvEvents.enabled }}
- {name: LOCKSTEP_KV_EVENTS, value: "tcp://*:{{ .Values.kvEvents.port }}"}
- {name: LOCKSTEP_KV_EVENTS_REPLAY, value: "tcp://*:{{ .Values.kvEvents.replayPort }}"}
- {name: LOCKSTEP_MODEL_ALIAS, value: {{ .Values.kvEvents.model | quote }}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: LOCKSTEP_KV_EVENTS_POD, value: "$(POD_IP):8080"}
{{- end }}
{{- end -}}

{{/* Those of extraEnv take their place, of several of a name the last; but for what other fields of the pod follow from. */}}
{{- define "lockstep.fixed" -}}
LOCKSTEP_PORT: the probes ask port 8080, and service.port is what others ask
LOCKSTEP_DRAIN_DELAY: set drain.delay
LOCKSTEP_DRAIN_TIMEOUT: set drain.timeout
{{- end -}}
{{- define "lockstep.env" -}}
{{- $fixed := fromYaml (include "lockstep.fixed" .) -}}
{{- $last := dict -}}
{{- range $i, $variable := .Values.extraEnv -}}
{{- if hasKey $fixed .name }}{{ fail (printf "extraEnv: %s is the chart's own: %s" .name (get $fixed .name)) }}{{ end -}}
{{- $_ := set $last .name $i -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- $flag := regexReplaceAll "=.*" . "" -}}
{{- with get $fixed (printf "LOCKSTEP_%s" (trimPrefix "--" $flag | upper | replace "-" "_")) }}{{ fail (printf "extraArgs: %s is the chart's own: %s" $flag .) }}{{ end -}}
{{- end -}}
{{- range include "lockstep.ownEnv" . | fromYamlArray }}{{ if not (hasKey $last .name) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}{{ end -}}
{{- range $i, $variable := .Values.extraEnv }}{{ if eq $i (int (get $last $variable.name)) }}
- {{ toYaml $variable | nindent 2 | trim }}
{{- end }}{{ end -}}
{{- end -}}
