output "namespace" {
  description = "Name of the namespace, for cluster.namespace in towpath.toml."
  value       = kubernetes_namespace_v1.shop.metadata[0].name
}
