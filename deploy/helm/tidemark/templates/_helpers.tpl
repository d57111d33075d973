{{- define "tidemark.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidemark.peers" -}}
{{ include "tidemark.fullname" . }}-peers
{{- end -}}

{{- define "tidemark.secret" -}}
{{ include "tidemark.fullname" . }}
{{- end -}}

{{- define "tidemark.claim" -}}
{{ .Values.state.volume.existingClaim | default (include "tidemark.fullname" .) }}
{{- end -}}

{{- define "tidemark.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "tidemark.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "tidemark.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidemark.labels" -}}
{{ include "tidemark.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Each process in order, at its pod's name in the headless service. */}}
{{- define "tidemark.hosts" -}}
{{- $hosts := list -}}
{{- range until (int .Values.replicas) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s:%d" (include "tidemark.fullname" $) . (include "tidemark.peers" $) (int $.Values.cluster.port)) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{/* Another one for each configuration: while an update replaces pods one by one, old and new ones refuse each other. */}}
{{- define "tidemark.cluster" -}}
{{- $told := pick .Values "image" "dataflow" "workers" "config" "arguments" "env" "envFrom" "state" "log" -}}
{{ include "tidemark.fullname" . }}-{{ list .Chart.AppVersion $told | toJson | sha256sum | trunc 12 }}
{{- end -}}

{{- define "tidemark.state" -}}
{{- if eq .Values.state.kind "s3" -}}
s3://{{ .Values.state.s3.bucket }}/{{ .Values.state.s3.prefix | default (include "tidemark.fullname" .) }}
{{- else -}}
/state/{{ .Values.dataflow }}
{{- end -}}
{{- end -}}

{{/* What a schema can't say. */}}
{{- define "tidemark.check" -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if eq .Values.log.kind "file" -}}
{{- fail "log.kind = file serves one process: set it to store or kafka, or replicas to 1" -}}
{{- end -}}
{{- if and (eq .Values.state.kind "volume") (not .Values.state.volume.existingClaim) (not (has "ReadWriteMany" .Values.state.volume.accessModes)) -}}
{{- fail "all processes must see one store: set state.kind to s3, or state.volume.accessModes to [ReadWriteMany], or replicas to 1" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.state.kind "s3") (eq .Values.log.kind "file") -}}
{{- fail "log.kind = file needs state.kind = volume: set log.kind to store or kafka" -}}
{{- end -}}
{{- if and (eq .Values.state.kind "s3") (not .Values.state.s3.bucket) -}}
{{- fail "state.kind = s3 needs state.s3.bucket" -}}
{{- end -}}
{{- end -}}
