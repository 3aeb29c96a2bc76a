"""At night a service keeps its least number of replicas."""
