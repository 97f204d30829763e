"""What instances are called where those of other managers are, too."""

from hwprovisioner.resourcemanager.model import Resource


def name_there(resource: Resource, instance: str) -> str:
    """Return a name that no other manager gives: `hwp-`, the manager's mark, and the instance's."""
    return "-".join(word for word in ("hwp", resource.mark, instance) if word)
