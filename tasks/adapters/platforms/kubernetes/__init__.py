"""The Kubernetes platform: releases as Deployments beside each other, traffic by HTTPRoutes or Ingresses.

What an environment is meant to be lies in the cluster itself (a ConfigMap), and so do the manifests of each release (a
Secret): whoever reaches the cluster can go on where another stopped, or take back what it left.
"""
