{{/* Generated from values.yaml by `make chart`: what a null value stands for. */}}
{{- define "ari-proxy.defaults" -}}
global:
  imageRegistry: ''
  imagePullSecrets: []
  labels: {}
nameOverride: ''
fullnameOverride: ''
namespaceOverride: ''
commonAnnotations: {}
openshift: false
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
  leaseNamespace: kube-system
  workers: 4
  rollout:
    maxServersAtOnce: 20
  logging:
    level: info
    format: json
  resources: {}
  annotations: {}
  podAnnotations: {}
  podLabels: {}
  podSecurityContext: {}
  containerSecurityContext: {}
  nodeSelector: {}
  tolerations: []
  affinity: {}
  topologySpreadConstraints: []
  priorityClassName: ''
  runtimeClassName: ''
  dnsPolicy: ''
  dnsConfig: {}
  hostAliases: []
  hostNetwork: false
  terminationGracePeriodSeconds: 30
  strategy: {}
  revisionHistoryLimit: 3
  podDisruptionBudget:
    enabled: false
    maxUnavailable: 1
  startupProbe: {}
  livenessProbe: {}
  readinessProbe: {}
  extraEnv: []
  extraEnvFrom: []
  extraArgs: []
  extraVolumes: []
  extraVolumeMounts: []
  extraContainers: []
  initContainers: []
ingest:
  image:
    repository: ari-proxy-ingest
    tag: ''
    digest: ''
  resources: {}
  podTemplate: {}
  serviceAccountAnnotations: {}
command:
  image:
    repository: ari-proxy-command
    tag: ''
    digest: ''
  resources: {}
  podTemplate: {}
  serviceAccountAnnotations: {}
serviceAccount:
  create: true
  name: ''
  annotations: {}
rbac:
  create: true
  scope: Cluster
  aggregateClusterRoles: null
  secrets: true
  standbys: true
  podMonitors: null
monitoring:
  podMonitor:
    enabled: false
    namespace: ''
    interval: 30s
    scrapeTimeout: ''
    labels: {}
    annotations: {}
    relabelings: []
    metricRelabelings: []
  serviceMonitor:
    enabled: false
    namespace: ''
    interval: 30s
    scrapeTimeout: ''
    labels: {}
    annotations: {}
    relabelings: []
    metricRelabelings: []
  prometheusRule:
    enabled: false
    namespace: ''
    labels: {}
    annotations: {}
    runbookUrl: ''
  dashboards:
    enabled: false
    namespace: ''
    titleSuffix: ''
    consoleUrl: ''
    labels: {}
    annotations: {}
networkPolicy:
  enabled: true
  metricsNamespaceLabels: {}
  extraPeers: []
  callsPeers: []
quickstart:
  nats: false
  natsImage: docker.io/library/nats:2.12-alpine
  natsCommand: []
extraObjects: []
{{- end }}
