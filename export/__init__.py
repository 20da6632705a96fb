"""What leaves for other tools and other people: the Ansible rollout, the picture of the farm, the report."""
