"""The demo over Kafka: a worker process ingests and an API process answers, both on the demo's database."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console
from rich.progress import Progress

from core.events.interactions import Interaction
from stream.kafka.admin import ensure_topics
from stream.kafka.producer import EventProducer
from stream.replay import Replay
from tidewise.client import Client, Json
from tidewise.demo.demo import DemoOptions, choose_port, make_shop, prepare
from tidewise.demo.guide import Click
from tidewise.demo.tour import show_click
from tidewise.processes.children import ProcessError, check_running, running, wait_for_interrupt, wait_ready
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import Settings

TIMEOUT_S = 30.0
PAUSE_S = 0.002


def run_kafka_demo(settings: Settings, options: DemoOptions, *, console: Console) -> None:
    """Train on the simulated shop, start a worker and an API, send traffic and a click through Kafka."""
    started_s = time.monotonic()
    port = choose_port(options)
    prepare(settings, console, num_users=options.num_users)
    kafka = kafka_settings(settings)
    ensure_topics(kafka)
    url, folder = f"http://127.0.0.1:{port}", settings.data.folder
    with ExitStack() as stack:
        worker_log, api_log = folder / "worker.log", folder / "serve.log"
        commands = ["worker", *options.arguments], ["serve", *options.arguments, "--port", str(port)]
        worker, api = (
            stack.enter_context(running(command, log=log, variables=options.variables))
            for command, log in zip(commands, (worker_log, api_log), strict=True)
        )
        children = {worker_log: worker, api_log: api}
        shop = make_shop(num_users=options.num_users)
        wait_ready(api, url, log=api_log)
        client = stack.enter_context(Client(url, api_key=settings.api_key()))
        producer = stack.enter_context(EventProducer(kafka))
        user_id = shop.typical_user()
        client.recommend(user_id)
        num_known = client.status()["events"]
        console.print(f"First recommendation [bold]{time.monotonic() - started_s:.1f} s[/] after the start.")
        with Progress(console=console) as progress:
            task = progress.add_task("through Kafka", total=len(shop.live))
            Replay(producer, on_progress=lambda sent: progress.update(task, completed=sent)).run(shop.live)
        _wait_through(client, num_known + len(shop.live))
        show_click(console, _click(client, producer, user_id))
        check_running(children)
        console.print(f"\nDashboard: [bold]{url}/[/]", soft_wrap=True)
        if not options.exit_after_tour:
            console.print("Running until Ctrl-C.")
            wait_for_interrupt(children)


def _click(client: Client, producer: EventProducer, user_id: str) -> Click:
    """A click, timed from sending it to Kafka to receiving the changed answer."""
    before = client.recommend(user_id)
    item = client.popular(n=20)["items"][-1]
    event = Interaction(secrets.token_hex(8), user_id, item["item_id"], "click", time.time_ns() // 1_000_000)
    start_s = time.perf_counter()
    producer.send(event).result()
    after = _until(lambda: client.recommend(user_id), lambda answer: answer["user_seq"] > before["user_seq"])
    return Click(user_id, item, before, after, (time.perf_counter() - start_s) * 1000)


def _wait_through(client: Client, num_events: int) -> None:
    """Wait until the database holds this many events."""
    _until(client.status, lambda status: status["events"] >= num_events)


def _until(request: Callable[[], Json], is_enough: Callable[[Json], bool]) -> Json:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        answer = request()
        if is_enough(answer):
            return answer
        time.sleep(PAUSE_S)
    msg = f"events sent through Kafka had not been applied after {TIMEOUT_S:.0f} s; see worker.log in the data folder"
    raise ProcessError(msg)
