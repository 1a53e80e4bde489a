{{/* Names are cut so that the longest suffix (-dispatcher-metrics) still fits a DNS label. */}}
{{- define "txn.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What tells the pods of one component from all others: (list $ "api"). */}}
{{- define "txn.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ default $.Chart.Name $.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of a component's resources: (list $ "api"). */}}
{{- define "txn.labels" -}}
{{- $ := index . 0 -}}
{{ include "txn.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name ($.Chart.Version | replace "+" "_") }}
{{- end -}}

{{- define "txn.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Pod and container settings of the "restricted" pod security standard. */}}
{{- define "txn.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "txn.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where all pods begin alike: (list $ "api"). Service links would set TXN_…
variables that read like settings. */}}
{{- define "txn.pod" -}}
{{- $ := index . 0 -}}
serviceAccountName: {{ include "txn.fullname" $ }}-{{ index . 1 }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $.Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  {{- include "txn.podSecurityContext" $ | nindent 2 }}
{{- end -}}

{{/* Where the pods of a component may run: (list $ "api" .Values.api). */}}
{{- define "txn.scheduling" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{- with index . 2 -}}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ (index $.Values $component).topologySpread }}
    labelSelector:
      matchLabels:
        {{- include "txn.selector" (list $ $component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Three quarters of a memory limit (Mi or Gi), for Go's collector; the rest is
for what it does not count. */}}
{{- define "txn.memoryLimit" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $mebibytes := ternary (mul $number 1024) $number (hasSuffix "Gi" .) -}}
{{ div (mul $mebibytes 3) 4 }}MiB
{{- end -}}

{{- define "txn.env.database" -}}
- name: TXN_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.urlKey }}}
{{- end -}}

{{/* Environment of a component: (list $ .Values.api). */}}
{{- define "txn.env" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{ include "txn.env.database" $ }}
{{- with $.Values.database.listenUrlKey }}
- name: TXN_DATABASE_LISTEN_URL
  valueFrom:
    secretKeyRef: {name: {{ $.Values.database.existingSecret }}, key: {{ . }}}
{{- end }}
{{- with $.Values.redis }}
{{- if .existingSecret }}
- name: TXN_REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .urlKey }}}
{{- end }}
{{- end }}
- name: TXN_SECURITY_ENCRYPTION_KEYS
  valueFrom:
    secretKeyRef: {name: {{ $.Values.encryptionKeys.existingSecret }}, key: {{ $.Values.encryptionKeys.key }}}
{{ include "txn.env.own" $component }}
{{- end -}}

{{/* The collector's limit, unless the user sets it, and what else the user sets. */}}
{{- define "txn.env.own" -}}
{{- $env := merge dict .env (dict "GOMEMLIMIT" (include "txn.memoryLimit" .resources.limits.memory)) -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* The file of settings that API and dispatcher share. */}}
{{- define "txn.config" -}}
{{- $own := dict
      "api" (dict "listen" ":8080" "admin_listen" ":9090"
        "shutdown_delay" (printf "%ds" (int .Values.api.shutdownDelaySeconds)) "shutdown_grace" (printf "%ds" (int .Values.api.shutdownGraceSeconds)))
      "dispatcher" (dict "admin_listen" ":9091" "shutdown_grace" (printf "%ds" (int .Values.dispatcher.shutdownGraceSeconds))) -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.config) $own) }}
{{- end -}}

{{/* Rules of a NetworkPolicy's egress. */}}
{{- define "txn.egress.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "txn.egress.to" -}}
- ports:
    - {port: {{ .port }}, protocol: TCP}
{{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* What API and dispatcher have in common. */}}
{{- define "txn.egress" -}}
{{ include "txn.egress.dns" . }}
{{ include "txn.egress.to" .Values.networkPolicy.database }}
{{- if .Values.redis.existingSecret }}
{{ include "txn.egress.to" .Values.networkPolicy.redis }}
{{- end }}
{{- if .Values.config.otel.endpoint }}
{{ include "txn.egress.to" .Values.networkPolicy.telemetry }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Who may scrape: (list $ 9090). */}}
{{- define "txn.ingress.metrics" -}}
{{- $ := index . 0 -}}
- ports:
    - {port: {{ index . 1 }}, protocol: TCP}
  from:
    {{- default (list (dict "namespaceSelector" dict)) $.Values.networkPolicy.metricsFrom | toYaml | nindent 4 }}
{{- end -}}
