{{/* Give values that are null or missing their defaults; each template begins with it. Helm removes
a group that is set to null, and what templates read of it would be an error. */}}
{{- define "ari-proxy.defaultValues" -}}
{{- if kindIs "map" .Values.global }}{{- $_ := set .Values "global" (deepCopy .Values.global) }}{{- end }}
{{- include "ari-proxy.fill" (list .Values (include "ari-proxy.defaults" . | fromYaml)) }}
{{- end }}

{{/* Add to the first map what it lacks of the second, group by group. */}}
{{- define "ari-proxy.fill" -}}
{{- $values := index . 0 }}
{{- range $name, $default := index . 1 }}
{{- if kindIs "invalid" (index $values $name) }}{{- $_ := set $values $name (kindIs "map" $default | ternary dict $default) }}{{- end }}
{{- if and (kindIs "map" $default) $default }}{{- include "ari-proxy.fill" (list (index $values $name) $default) }}{{- end }}
{{- end }}
{{- end }}

{{- define "ari-proxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "ari-proxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "ari-proxy.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ari-proxy.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ari-proxy.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "ari-proxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ari-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "ari-proxy.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/name: {{ include "ari-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ari-proxy
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.global.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ari-proxy.labels" -}}
{{ include "ari-proxy.commonLabels" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "ari-proxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ari-proxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed if serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image, from (dict "image" .Values.x.image "root" $). */}}
{{- define "ari-proxy.image" -}}
{{- $name := .image.repository -}}
{{- with .root.Values.global.imageRegistry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if .image.digest }}
{{- printf "%s@%s" $name .image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{/* The watched namespaces as JSON; an empty list means all. */}}
{{- define "ari-proxy.namespaces" -}}
{{- $found := .Values.operator.watchNamespaces }}
{{- if and (eq .Values.rbac.scope "Namespace") (not $found) }}
{{- $found = list (include "ari-proxy.namespace" .) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* "true" or "false", from a list of the root and a value: if it is null, true unless the scope is a
namespace, whose admin has no such right himself. */}}
{{- define "ari-proxy.unlessNamespaced" -}}
{{- $default := eq (index . 0).Values.rbac.scope "Cluster" }}
{{- kindIs "invalid" (index . 1) | ternary $default (index . 1) }}
{{- end }}

{{/* The annotations of an object, from a list of the root and the object's own. */}}
{{- define "ari-proxy.annotations" -}}
{{- with merge (dict) (index . 1 | default dict) (index . 0).Values.commonAnnotations -}}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The security context of a pod; OpenShift chooses the user itself. */}}
{{- define "ari-proxy.podSecurityContext" -}}
{{- $ids := .Values.openshift | ternary (list "runAsUser" "runAsGroup" "fsGroup") list }}
{{- $context := .Values.operator.podSecurityContext }}
{{- range $ids }}{{- $context = omit $context . }}{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* Who may reach the admin port, as a JSON list of NetworkPolicyPeers. */}}
{{- define "ari-proxy.peers" -}}
{{- $peers := .Values.networkPolicy.extraPeers }}
{{- with .Values.networkPolicy.metricsNamespaceLabels }}
{{- $peers = prepend $peers (dict "namespaceSelector" (dict "matchLabels" .)) }}
{{- end }}
{{- toJson $peers }}
{{- end }}

{{/* The same for the pods of all resources: the operator queries them. */}}
{{- define "ari-proxy.adminPeers" -}}
{{- $namespace := dict "matchLabels" (dict "kubernetes.io/metadata.name" (include "ari-proxy.namespace" .)) }}
{{- $pods := dict "matchLabels" (include "ari-proxy.selectorLabels" . | fromYaml) }}
{{- $operator := dict "namespaceSelector" $namespace "podSelector" $pods }}
{{- prepend (include "ari-proxy.peers" . | fromJsonArray) $operator | toJson }}
{{- end }}

{{/* The defaults of a component for all resources as JSON, from a list of the root and its values. A
pod template's null removes a field of the operator's. */}}
{{- define "ari-proxy.workloadDefaults" -}}
{{- $values := index . 1 }}
{{- $template := deepCopy $values.podTemplate }}
{{- if (index . 0).Values.openshift }}
{{- $spec := $template.spec | default dict }}
{{- $ids := dict "runAsUser" nil "runAsGroup" nil "fsGroup" nil }}
{{- $context := kindIs "map" $spec.securityContext | ternary $spec.securityContext dict }}
{{- range $name, $value := $ids }}{{- if not (hasKey $context $name) }}{{- $_ := set $context $name nil }}{{- end }}{{- end }}
{{- $_ := set $spec "securityContext" $context }}
{{- $_ := set $template "spec" $spec }}
{{- end }}
{{- $found := dict "pod_template" $template "service_account_annotations" $values.serviceAccountAnnotations }}
{{- with $values.resources }}{{- $_ := set $found "resources" . }}{{- end }}
{{- toJson $found }}
{{- end }}

{{/* The operator's permissions in the watched namespaces. Kubernetes lets it create only Roles with
permissions that it has itself. */}}
{{- define "ari-proxy.rules" -}}
{{ include "ari-proxy.ownRules" . }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.rbac.standbys }}
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [coordination.k8s.io]
  # update is for the Roles of the ingests.
  resources: [leases]
  verbs: [get, list, watch, create, update, patch, delete]
{{- if eq (include "ari-proxy.unlessNamespaced" (list $ .Values.rbac.podMonitors)) "true" }}
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- if .Values.rbac.secrets }}
- apiGroups: [""]
  # To see whether they exist and which keys they have; they are never listed.
  resources: [secrets]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Those of them that the role `admin` of Kubernetes lacks. */}}
{{- define "ari-proxy.ownRules" -}}
- apiGroups: [ari-proxy.io]
  resources: [ariproxies]
  # patch: for the finalizer of drainOnDeletion.
  verbs: [get, list, watch, patch]
- apiGroups: [ari-proxy.io]
  resources: [ariproxies/status]
  verbs: [get, patch]
- apiGroups: [ari-proxy.io]
  # For ownerReferences with blockOwnerDeletion, where an admission plugin checks them.
  resources: [ariproxies/finalizers]
  verbs: [update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/*
Link a dashboard, and its series that are of one server, to the console at a URL (a list of both). Fields in the
braces of the URL are labels. A row of a table has them as fields, any other series as labels of its own.
*/}}
{{- define "ari-proxy.linkToConsole" -}}
{{- $dashboard := index . 0 }}
{{- $console := index . 1 }}
{{- if not (contains "{" $console) }}
{{- $link := dict "type" "link" "title" "Console" "url" $console "targetBlank" true "icon" "external link" }}
{{- $_ := set $dashboard "links" (append $dashboard.links $link) }}
{{- end }}
{{- $panels := $dashboard.panels }}
{{- range $dashboard.panels }}{{- $panels = concat $panels (default list .panels) }}{{- end }}
{{- range $panels }}
{{- $queries := toJson (default list .targets) }}
{{- if contains "by (cluster, namespace, server_id" $queries }}
{{- $url := printf "%s?server={server_id}" $console }}
{{- if contains "server_id, application)" $queries }}{{- $url = printf "%s&find={application}" $url }}{{- end }}
{{- $labels := eq .type "table" | ternary "__data.fields" "__field.labels" }}
{{- range list "cluster" "namespace" "server_id" "application" }}
{{- $url = replace (printf "{%s}" .) (printf "${%s.%s:percentencode}" $labels .) $url }}
{{- end }}
{{- $_ := set .fieldConfig.defaults "links" (list (dict "title" "Calls in the console" "url" $url "targetBlank" true)) }}
{{- end }}
{{- end }}
{{- end }}
