"""What a team may say of delivery, and what is refused in one line."""

import pytest

from tasks.core.settings import SettingsRefused, read_settings

GOOD = """
[delivery.components.web]
command = ["serve", "{port}"]

[delivery.environments.staging]
replicas = { web = 1 }

[delivery.environments.production]
replicas = { web = 3 }
variables = { web = { A = "1" } }

[delivery.canary]
steps = [5, 25]

[[delivery.freezes]]
start = "Fri 16:00"
end = "Mon 08:00"
reason = "weekend"
"""


def test_a_target_that_can_be_delivered() -> None:
    """A component, two environments and a freeze are read as they were written."""
    delivery = read_settings({"towpath.toml": GOOD}).delivery

    assert delivery.environments["production"].replicas == {"web": 3}
    assert delivery.canary.steps == (5.0, 25.0)
    assert delivery.freezes[0].reason == "weekend"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("command =", "comand =", "unknown key delivery.components.web.comand; did you mean command?"),
        ("steps =", "step =", "unknown key delivery.canary.step; did you mean steps?"),
        ("start =", "begin =", "unknown key delivery.freezes.0.begin"),
        ('reason = "weekend"', 'reson = "x"', "unknown key delivery.freezes.0.reson; did you mean reason?"),
        ("replicas = { web = 1 }", "replicas = { wep = 1 }", "environments.staging names wep, which is no component"),
        ("replicas = { web = 1 }", "replicas = {}", "environments.staging says no replicas for web"),
        ("replicas = { web = 1 }", "replicas = { web = 0 }", "environments.staging has 0 instances of everything"),
        ("variables = { web", "variables = { wep", "environments.production names wep"),
        ('"{port}"]', '"{port}"]\nroutes = ["/api"]', "components.web: ready_path / is under none of its routes"),
        ("[5, 25]", "[25, 5]", "delivery.canary: steps must rise"),
        ("[5, 25]", "[5, 250]", "delivery.canary.steps.1: Input should be less than 100"),
        ("[5, 25]", "[5]\njudge = { alfa = 0.1 }", "unknown key delivery.canary.judge.alfa; did you mean alpha?"),
        ("[5, 25]", "[5]\njudge = { share = 0.2 }", "share of the judge follows from [delivery.canary]"),
    ],
)
def test_refusals(old: str, new: str, said: str) -> None:
    """What cannot be used is refused in one line that names the key, however deep it lies."""
    with pytest.raises(SettingsRefused) as refused:
        read_settings({"towpath.toml": GOOD.replace(old, new, 1)})

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
