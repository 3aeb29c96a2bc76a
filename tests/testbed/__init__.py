"""What tests stand on when real parts are wanted: a Docker daemon, a base image."""
