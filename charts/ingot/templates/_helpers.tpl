{{/* Names and labels are those of MetalLB's chart, so that a release of that one can be upgraded to this one: a selector cannot be changed. */}}
{{- define "ingot.name" -}}
{{- default "metallb" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ingot.fullname" -}}
{{- $name := include "ingot.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if or (contains $name .Release.Name) (contains "ingot" .Release.Name) }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ingot.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ingot.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ingot.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ingot.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ingot.configMapName" -}}
{{- default (include "ingot.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "ingot.secretName" -}}
{{- default (printf "%s-memberlist" (include "ingot.fullname" .)) .Values.speaker.secretName | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Whether there are speakers, on nodes or central ones; whether they have a ring, whose key is in a Secret. */}}
{{- define "ingot.speakers" -}}
{{- if or .Values.speaker.enabled .Values.centralSpeakers.enabled }}true{{ end }}
{{- end }}

{{- define "ingot.ring" -}}
{{- if and (include "ingot.speakers" .) .Values.speaker.memberlist.enabled }}true{{ end }}
{{- end }}

{{/* Takes (list . "controller") or (list . "speaker"). */}}
{{- define "ingot.serviceAccountName" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}
{{- $account := (index $root.Values $component).serviceAccount }}
{{- if $account.create }}
{{- default (printf "%s-%s" (include "ingot.fullname" $root) $component) $account.name }}
{{- else }}
{{- default "default" $account.name }}
{{- end }}
{{- end }}

{{/* Image and pull policy of a container; takes the same. */}}
{{- define "ingot.image" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}
{{- $own := (index $root.Values $component).image }}
{{- $repository := default $root.Values.image.repository $own.repository }}
{{- if regexMatch "metallb[/-](controller|speaker)$" $repository }}
{{- fail (printf "%s.image.repository is %s, MetalLB's image. Leave it out, and name the image of Ingot in image.repository" $component $repository) }}
{{- end }}
{{- if and (not $own.repository) (regexMatch "^v0\\.([7-9]|[1-9][0-9])\\.[0-9]+$" (default "" $own.tag)) }}
{{- fail (printf "%s.image.tag is %s, a version of MetalLB. Leave it out, or name Ingot's in image.tag" $component $own.tag) }}
{{- end }}
{{- if contains "@" $repository }}
{{- fail (printf "%s is an image by digest, where the repository alone belongs. Put the digest, sha256:…, into tag" $repository) }}
{{- end }}
{{- $tag := coalesce $own.tag $root.Values.image.tag $root.Chart.AppVersion }}
image: {{ printf "%s%s%s" $repository (ternary "@" ":" (hasPrefix "sha256:" $tag)) $tag | quote }}
{{- with default $root.Values.image.pullPolicy $own.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* What both Pods have; takes the same, and the port. */}}
{{- define "ingot.podAnnotations" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $port := index . 2 }}
{{- $ours := dict }}
{{- if $root.Values.prometheus.scrapeAnnotations }}
{{- $ours = dict "prometheus.io/port" (toString $port) "prometheus.io/scrape" "true" }}
{{- end }}
{{- with merge (dict) (default dict (index $root.Values $component).podAnnotations) $ours }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes the same. */}}
{{- define "ingot.commonArgs" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}
- --port={{ index . 2 }}
- --config={{ include "ingot.configMapName" $root }}
{{- with (index $root.Values $component).logLevel }}
- --log-level={{ . }}
{{- end }}
{{- with $root.Values.loadBalancerClass }}
{{- if .name }}
- --lb-class={{ .name }}
{{- end }}
{{- if .default }}
- --lb-class-default
{{- end }}
{{- end }}
{{- end }}

{{- define "ingot.probes" -}}
{{- $root := index . 0 }}{{ $values := index $root.Values (index . 1) }}
{{- if $values.startupProbe.enabled }}
startupProbe:
  httpGet:
    path: /healthz
    port: monitoring
  {{- with omit $values.startupProbe "enabled" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- if $values.livenessProbe.enabled }}
livenessProbe:
  httpGet:
    path: /healthz
    port: monitoring
  {{- with omit $values.livenessProbe "enabled" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- if $values.readinessProbe.enabled }}
readinessProbe:
  httpGet:
    path: /readyz
    port: monitoring
  {{- with omit $values.readinessProbe "enabled" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where a Pod may run, and as what. */}}
{{- define "ingot.placement" -}}
{{- $root := index . 0 }}{{ $values := index $root.Values (index . 1) }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "ingot.serviceAccountName" . }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
nodeSelector:
  {{- toYaml (merge (dict) (default dict $values.nodeSelector) (dict "kubernetes.io/os" "linux")) | nindent 2 }}
{{- end }}
