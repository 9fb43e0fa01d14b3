"""The lab's registry: Debian's docker-registry on loopback, with content that outlives `down`.

It promises the same address at every start, since image references hold it.
"""

import urllib.request

from tests.lab.cluster.daemons import ensure
from tests.lab.cluster.places import Places


def start(places: Places) -> None:
    settings = places.home / "registry.yml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(
        f"""version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{places.home / "registry"}"}}
  delete: {{enabled: true}}
http: {{addr: "{places.registry}"}}
"""
    )
    ensure(places, "registry", ["docker-registry", "serve", settings], lambda: answers(places.registry))


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/v2/", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
