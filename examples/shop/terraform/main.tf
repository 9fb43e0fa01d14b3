# What must be there before the first release: a namespace, what may be used up in it, who may call into it, and who may
# change it. Releases themselves, with their secrets and databases, come from k8s/ by Towpath and never from here.

locals {
  name = "shop-${var.environment}"
  labels = {
    "app.kubernetes.io/part-of"          = "shop"
    "app.kubernetes.io/managed-by"       = "terraform"
    "pod-security.kubernetes.io/enforce" = "restricted"
    "pod-security.kubernetes.io/warn"    = "restricted"
  }
}

resource "kubernetes_namespace_v1" "shop" {
  metadata {
    name   = local.name
    labels = local.labels
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "kubernetes_resource_quota_v1" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace_v1.shop.metadata[0].name
  }

  spec {
    hard = {
      "requests.cpu"           = tostring(var.cpu_cores)
      "requests.memory"        = "${var.memory_gib}Gi"
      "limits.memory"          = "${2 * var.memory_gib}Gi"
      "persistentvolumeclaims" = "8"
      "services.loadbalancers" = "0"
      "services.nodeports"     = "0"
    }
  }
}

resource "kubernetes_limit_range_v1" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace_v1.shop.metadata[0].name
  }

  spec {
    limit {
      type            = "Container"
      default         = { cpu = "500m", memory = "256Mi" }
      default_request = { cpu = "20m", memory = "64Mi" }
    }
  }
}

# Nothing comes in but from the shop itself and from the gateway.
resource "kubernetes_network_policy_v1" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace_v1.shop.metadata[0].name
  }

  spec {
    pod_selector {}
    policy_types = ["Ingress"]

    ingress {
      from {
        pod_selector {}
      }
      from {
        namespace_selector {
          match_labels = { "kubernetes.io/metadata.name" = var.gateway_namespace }
        }
      }
    }
  }
}

resource "kubernetes_role_v1" "deliverer" {
  metadata {
    name      = "towpath-deliverer"
    namespace = kubernetes_namespace_v1.shop.metadata[0].name
  }

  rule {
    api_groups = [""]
    resources  = ["services", "configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims"]
    verbs      = ["get", "list", "create", "update", "patch", "delete"]
  }
  rule {
    api_groups = [""]
    resources  = ["pods", "pods/log", "pods/proxy", "events"]
    verbs      = ["get", "list"]
  }
  rule {
    api_groups = [""]
    resources  = ["pods/portforward"]
    verbs      = ["create"]
  }
  rule {
    api_groups = ["apps"]
    resources  = ["deployments", "statefulsets"]
    verbs      = ["get", "list", "create", "patch", "delete"]
  }
  rule {
    api_groups = ["batch"]
    resources  = ["jobs", "cronjobs"]
    verbs      = ["get", "list", "create", "patch", "delete"]
  }
  rule {
    api_groups = ["autoscaling", "policy", "networking.k8s.io", "gateway.networking.k8s.io"]
    resources  = ["horizontalpodautoscalers", "poddisruptionbudgets", "networkpolicies", "ingresses", "httproutes"]
    verbs      = ["get", "list", "create", "patch", "delete"]
  }
  rule {
    api_groups = ["coordination.k8s.io"]
    resources  = ["leases"]
    verbs      = ["get", "list", "create", "update", "patch", "delete"]
  }
}

resource "kubernetes_role_binding_v1" "deliverer" {
  metadata {
    name      = "towpath-deliverer"
    namespace = kubernetes_namespace_v1.shop.metadata[0].name
  }

  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role_v1.deliverer.metadata[0].name
  }

  subject {
    kind      = var.deliverer.kind
    name      = var.deliverer.name
    namespace = var.deliverer.namespace
    api_group = var.deliverer.kind == "ServiceAccount" ? "" : "rbac.authorization.k8s.io"
  }
}
