"""The local platform for real: what can be asked of it, with a real router in front of real processes."""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tasks.adapters import permits
from tasks.adapters.daemons import birth_of
from tasks.adapters.platforms.local.platform import LocalPlatform
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.platform import Permit, PermitRevoked, PlatformTrouble, Role
from tests.adapters.local_stage import ENVIRONMENT, ROOT, load, stage, web


async def test_a_release_goes_the_whole_road(tmp_path: Path) -> None:
    """Put, weighted, promoted, scaled and the next one removed: each step shows in the status and in the answers."""
    async with stage(tmp_path) as on:
        first, second = await on.stable("v1", 2), on.release("v2", replicas=2)
        await on.put(second)
        status = await on.status()
        assert (status.stable, status.candidate, status.candidate_percent) == (first, second, 0)
        await on.until_ready(Role.CANDIDATE, 1)
        assert await on.answers(50) == {"v1": 50}

        await on.platform.set_weight(on.permit, 10)
        assert (await on.status()).candidate_percent == 10
        await on.platform.scale(on.permit, Role.CANDIDATE, {"web": 2})
        await on.until_ready(Role.CANDIDATE, 2)
        await on.platform.promote(on.permit)
        status = await on.status()
        assert (status.stable, status.candidate, status.candidate_percent) == (second, None, 0)
        assert await on.answers(50) == {"v2": 50}
        await on.until_marks({"router", "web-2-1", "web-2-2"})

        await on.put_ready(on.release("v3"))
        await on.platform.set_weight(on.permit, 50)
        await on.platform.remove(on.permit)
        assert await on.answers(50) == {"v2": 50}
        await on.until_marks({"router", "web-2-1", "web-2-2"})
        await on.platform.scale(on.permit, Role.STABLE, {"web": 1})
        await on.until_marks({"router", "web-2-1"})
        status = await on.status()
        assert (status.note, [each.name for each in status.instances]) == ("", ["web-2-1"])


@pytest.mark.parametrize(("percent", "expected"), [(10.0, 100), (0.5, 5), (50.0, 500), (99.0, 990)])
async def test_a_share_is_exact(tmp_path: Path, percent: float, expected: int) -> None:
    """Of a thousand requests the candidate gets its share to within one."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        await on.platform.set_weight(on.permit, percent)
        assert abs((await on.answers(1000))["v2"] - expected) <= 1


async def test_a_share_of_nothing_is_in_force_within_a_second(tmp_path: Path) -> None:
    """From the decision to the candidate's last answer, under load, 19 times of 20."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        late: list[float] = []
        for _ in range(20):
            async with load(on.url, per_second=100) as visitors:
                await on.platform.set_weight(on.permit, 50)
                decided = time.monotonic()
                await on.platform.set_weight(on.permit, 0)
                returned = time.monotonic()
                count = len(visitors.visits)
                while len(visitors.visits) < count + 20:
                    await asyncio.sleep(0.01)
            late.append(visitors.last_answer_of("v2", since=decided))
            assert visitors.last_answer_of("v2", since=returned + 0.1) == 0, "it must be true when it is said"
        assert sorted(late)[18] < 1.0, late


async def test_the_longest_path_decides_and_each_component_is_replaced(tmp_path: Path) -> None:
    """Two components of one release, each behind its own path, each with its share."""
    components = {"api": web(routes=("/api",)), "web": web()}
    async with stage(tmp_path) as on:
        release = on.release("v1", components)
        await on.put_ready(release)
        await on.platform.set_weight(on.permit, 100)
        await on.platform.promote(on.permit)
        async with httpx.AsyncClient(base_url=on.url, trust_env=False) as client:
            before = (await on.platform.snapshot(ENVIRONMENT)).stable
            for path in ("/api", "/api/orders", "/apiary", "/"):
                assert (await client.get(path)).status_code == 200
        after = (await on.platform.snapshot(ENVIRONMENT)).stable
        assert before is not None
        assert after is not None
        grown = {name: after[name].requests - before[name].requests for name in after}
        assert grown == {"api-1-1": 2, "web-1-1": 2}


async def test_the_counters_of_every_instance_are_told(tmp_path: Path) -> None:
    """By arm and instance, on the machine's own clock; the history holds the stable arm."""
    async with stage(tmp_path) as on:
        await on.stable("v1", 2)
        await on.put_ready(on.release("v2"))
        await on.platform.set_weight(on.permit, 50)
        await on.answers(40)
        found = await on.platform.snapshot(ENVIRONMENT)
        assert found.stable is not None
        assert found.canary is not None
        assert (found.share, set(found.stable), set(found.canary)) == (0.5, {"web-1-1", "web-1-2"}, {"web-2-1"})
        assert found.canary["web-2-1"].requests == 21
        assert len(found.canary["web-2-1"].buckets) == len(found.bounds) + 1 == 3
        assert 0 < (found.canary["web-2-1"].started or 0) < found.at <= time.monotonic()
        await on.until_history()
        recent = await on.platform.recent(ENVIRONMENT, 60)
        assert recent[-1].stable is not None
        assert (set(recent[-1].stable), recent[-1].canary, recent[-1].share) == ({"web-1-1", "web-1-2"}, {}, 0)
        assert await on.platform.recent(ENVIRONMENT, 0) == ()


async def test_a_permit_that_was_taken_away_changes_nothing(tmp_path: Path) -> None:
    """Neither what is wanted nor what the router reads, whatever is asked for."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        holder = permits.Holder("other", "the guard", "late", "", 1, birth_of(1), time.time())
        held = permits.holder_of(on.folder.path)
        assert held is not None
        permits.seize(on.folder.path, ENVIRONMENT, holder, token=held.token)
        before = on.folder.wanted.read_bytes(), on.folder.routes.read_bytes()
        platform = on.platform
        for change in (
            platform.set_weight(on.permit, 50),
            platform.promote(on.permit),
            platform.remove(on.permit),
            platform.scale(on.permit, Role.STABLE, {"web": 2}),
            platform.put(on.permit, on.release("v3"), {"web": 1}),
        ):
            with pytest.raises(PermitRevoked, match="the guard"):
                await change
        assert (on.folder.wanted.read_bytes(), on.folder.routes.read_bytes()) == before


async def test_what_cannot_be_done_says_why(tmp_path: Path) -> None:
    """No share or promotion before an instance is ready, no second candidate, nothing that was never built."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put(on.release("v2", variables={"READY": "0"}))
        for change, why in (
            (on.platform.set_weight(on.permit, 10), "no instance of v2 is ready"),
            (on.platform.promote(on.permit), "without a ready instance"),
            (on.put(on.release("v3")), "v2 is the candidate already"),
        ):
            with pytest.raises(PlatformTrouble, match=why):
                await change
        await on.platform.remove(on.permit)
        unbuilt = on.release("v4").model_copy(update={"artifact": "sha256:" + "f" * 64})
        with pytest.raises(PlatformTrouble, match="what was built of v4 cannot be read"):
            await on.put(unbuilt)


async def test_an_environment_nobody_prepared_is_told_from_an_empty_one(tmp_path: Path) -> None:
    """Its status says so, and nothing can be put there."""
    platform = LocalPlatform(tmp_path, "shop")
    status = await platform.status("staging")
    assert (status.url, status.stable, status.note) == ("", None, "nothing was ever put here")
    with pytest.raises(PlatformTrouble, match="never prepared"):
        await platform.snapshot("staging")
    with pytest.raises(PlatformTrouble, match="cannot name a folder"):
        await platform.status("../production")


async def test_environments_do_not_know_each_other(tmp_path: Path) -> None:
    """Another environment and another target have their own router, their own releases and their own share."""
    async with stage(tmp_path) as on:
        others = [replace(on, platform=LocalPlatform(tmp_path, target)) for target in ("shop", "blog")]
        for number, (other, environment) in enumerate(zip(others, ("staging", ENVIRONMENT), strict=True)):
            other.permit = Permit(environment, "token")
            other.take_permit()
            await other.stable(f"w{number}")
        await on.stable()
        assert [await each.answers(5) for each in (on, *others)] == [{"v1": 5}, {"w0": 5}, {"w1": 5}]
        await others[0].put_ready(on.release("v2"))
        await others[0].platform.set_weight(others[0].permit, 100)
        assert [await each.answers(5) for each in (on, *others)] == [{"v1": 5}, {"v2": 5}, {"w1": 5}]


def test_every_environment_has_a_port_of_its_own(tmp_path: Path) -> None:
    """A port is kept once it is promised, and never promised twice, also while nobody listens on it."""
    urls = [LocalPlatform(tmp_path, target).prepare(name, 18_500) for target in "ab" for name in ("x", "y")]
    assert len(set(urls)) == 4
    assert LocalPlatform(tmp_path, "a").prepare("x", 18_900) == urls[0]


async def test_taking_traffic_away_needs_no_supervisor(tmp_path: Path) -> None:
    """With the supervisor dead a weight is still set and followed, and a candidate still loses its traffic."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        on.kill_supervisor()
        await on.platform.set_weight(on.permit, 100)
        assert await on.answers(20) == {"v2": 20}
        await on.platform.set_weight(on.permit, 0)
        assert await on.answers(20) == {"v1": 20}
        await on.platform.remove(on.permit)
        status = await on.status()
        assert status.candidate is None
        assert "towpath up" in status.note
        await on.platform.remove(on.permit)


async def test_a_router_that_does_not_follow_is_trouble(tmp_path: Path) -> None:
    """Nobody is told that a share is in force when nobody can know."""
    async with stage(tmp_path) as on:
        await on.stable()
        await on.put_ready(on.release("v2"))
        on.kill_supervisor()
        await on.kill_router()
        hasty = LocalPlatform(tmp_path, "shop", follow_seconds=0.2)
        with pytest.raises(PlatformTrouble, match="it does not run"):
            await hasty.set_weight(on.permit, 0)


async def test_the_sample_backend_runs_unchanged(tmp_path: Path) -> None:
    """The real shop: its database in the environment's data folder, its readiness, its metrics."""
    shop = ComponentSettings.model_validate(
        {
            "command": (sys.executable, "-m", "shop", "serve", "--port", "{port}"),
            "environment": {
                "PYTHONPATH": str(ROOT / "examples" / "shop" / "backend" / "src"),
                "DATABASE_URL": "sqlite:///{data}/shop.db",
            },
            "ready_path": "/healthz",
            "live_path": "/healthz",
            "metrics": {"requests": "shop_requests_total", "errors": "shop_request_errors_total"},
        }
    )
    async with stage(tmp_path) as on:
        release = on.release("v1", {"backend": shop})
        await on.put(release)
        await on.until_ready(Role.CANDIDATE, 1, seconds=30)
        await on.platform.set_weight(on.permit, 100)
        async with httpx.AsyncClient(base_url=on.url, trust_env=False) as client:
            assert (await client.get("/healthz")).json() == {"status": "alive", "release": "v1"}
            await client.get("/api/nowhere")
        canary = (await on.platform.snapshot(ENVIRONMENT)).canary
        assert canary is not None
        assert canary["backend-1-1"].errors == 0
        assert canary["backend-1-1"].requests > 0


async def test_a_permit_names_its_environment(tmp_path: Path) -> None:
    """The permit of one environment opens no other."""
    async with stage(tmp_path) as on:
        on.platform.prepare("staging", 18_200)
        with pytest.raises(PermitRevoked):
            await on.platform.set_weight(Permit("staging", on.permit.token), 0)
