"""Where the door's settings are: `door.toml` of Towpath's home, which belongs to the server's operator alone."""

from pathlib import Path

from tasks.core.door_settings import DoorRefused, DoorSettings, read_door_settings


def read_door_toml(state: Path) -> DoorSettings:
    """What door.toml of this home says. Raises DoorRefused."""
    path = state / "door.toml"
    try:
        return read_door_settings(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DoorRefused(f'{path} is missing: write [repositories."OWNER/NAME"] into it for each one') from None
    except (OSError, UnicodeDecodeError) as broken:
        raise DoorRefused(f"{path} cannot be read ({broken})") from broken
