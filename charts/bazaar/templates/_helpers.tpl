{{/* The Bazaar's name: that of the release, unless another is given. */}}
{{- define "bazaar.ring" -}}
{{- $name := .Values.bazaar.name | default .Release.Name -}}
{{- if or (gt (len $name) 40) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "%q cannot name a ring: use at most 40 lower-case letters, digits and hyphens, with a letter first and no hyphen last; or set bazaar.name" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "bazaar.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "bazaar.operator" -}}
{{ include "bazaar.fullname" . }}-operator
{{- end -}}

{{- define "bazaar.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* Cluster-wide objects have the namespace in their name: two releases may have one name. */}}
{{- define "bazaar.clusterName" -}}
{{ include "bazaar.namespace" . }}-{{ include "bazaar.operator" . }}
{{- end -}}

{{/* Labels that selectors use; they never change. */}}
{{- define "bazaar.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels and annotations of an object: (dict "root" $ "component" … "labels" … "annotations" …). */}}
{{- define "bazaar.meta" -}}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
labels:
  {{- include "bazaar.labels" . | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "bazaar.labels" -}}
{{- $root := .root -}}
{{ include "bazaar.selectorLabels" $root | replace "component: operator" (printf "component: %s" (.component | default "operator")) }}
app.kubernetes.io/part-of: bazaar
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.labels | default dict) $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bazaar.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "bazaar.serviceAccount" -}}
{{- $made := ternary (include "bazaar.operator" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end -}}

{{/* What every pod of the release keeps to: the restricted pod security standard. */}}
{{- define "bazaar.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "bazaar.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* The namespaces whose Bazaars the release looks after, as a monitor's selector. */}}
{{- define "bazaar.watched" -}}
{{- if .Values.clusterWide -}}
any: true
{{- else -}}
matchNames: [{{ include "bazaar.namespace" . }}]
{{- end -}}
{{- end -}}
