{{/* Generated from values.yaml by `make chart`: what a null value stands for. */}}
{{- define "ari-proxy.defaults" -}}
global:
  imageRegistry: ''
  imagePullSecrets: []
  labels: {}
nameOverride: ''
fullnameOverride: ''
namespaceOverride: ''
crds:
  enabled: true
  keep: true
operator:
  enabled: true
  image:
    repository: ari-proxy-operator
    tag: ''
    digest: ''
    pullPolicy: IfNotPresent
  watchNamespaces: []
  workers: 4
  logging:
    level: info
    format: json
  resources: {}
  podAnnotations: {}
  podLabels: {}
  podSecurityContext: {}
  containerSecurityContext: {}
  nodeSelector: {}
  tolerations: []
  affinity: {}
  priorityClassName: ''
  extraEnv: []
ingest:
  image:
    repository: ari-proxy-ingest
    tag: ''
    digest: ''
command:
  image:
    repository: ari-proxy-command
    tag: ''
    digest: ''
serviceAccount:
  create: true
  name: ''
  annotations: {}
rbac:
  create: true
  scope: Cluster
  aggregateClusterRoles: null
  secrets: true
  podMonitors: null
monitoring:
  podMonitor:
    enabled: false
    interval: 30s
    labels: {}
  prometheusRule:
    enabled: false
    labels: {}
    runbookUrl: docs/runbooks/
  dashboards:
    enabled: false
    labels: {}
    annotations: {}
networkPolicy:
  enabled: false
quickstart:
  nats: false
  natsImage: docker.io/library/nats:2.12-alpine
  natsCommand: []
extraObjects: []
{{- end }}
