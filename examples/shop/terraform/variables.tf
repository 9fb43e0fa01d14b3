variable "environment" {
  description = "Environment of the shop that the namespace is for."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "The shop has two environments: staging and production."
  }
}

variable "deliverer" {
  description = "User or service account that delivers releases, as the cluster names it."
  type = object({
    kind      = string
    name      = string
    namespace = optional(string)
  })
}

variable "cpu_cores" {
  description = "Cores that all pods of the namespace may ask for together."
  type        = number
  default     = 8

  validation {
    condition     = var.cpu_cores >= 2
    error_message = "A release and its canary need at least 2 cores."
  }
}

variable "memory_gib" {
  description = "GiB of memory that all pods of the namespace may ask for together."
  type        = number
  default     = 16
}

variable "gateway_namespace" {
  description = "Namespace of the gateway, the only one whose pods may call the shop."
  type        = string
}
