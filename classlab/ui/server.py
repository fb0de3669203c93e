"""The page's server: addresses and what stands under each. It reads, and changes and starts nothing.

It loads neither torch nor charts; what needs them a child process answers (ui/desk.py). Every request has come through
the doors of ui/guard.py before it is here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from classlab.errors import UserError
from classlab.json_text import finite
from classlab.plain_text import on_a_line
from classlab.ui import streams, views
from classlab.ui.desk import Desk, Failed
from classlab.ui.guard import POLICY, Guard, TooLarge
from classlab.ui.listing import Listing, Place
from classlab.ui.watch import Watch

Endpoint = Callable[[Request], Awaitable[Response]]
JSON_BYTES = 200_000  # of a question that holds no picture
STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
MOST_COMPARED = 200  # runs


@dataclass
class Lab:
    """What the addresses are answered from. drawings: a desk of its own, so that a digit does not wait for a report."""

    listing: Listing
    watch: Watch
    desk: Desk
    drawings: Desk
    vega: "asyncio.Task[str] | None" = None
    warm: "asyncio.Task[str] | None" = None

    async def end(self) -> None:
        """End the streams of open pages and the children, so that nothing is waited for."""
        self.watch.ending = True
        await asyncio.gather(self.desk.close(), self.drawings.close())

    def warm_up(self) -> None:
        """Let the child load what charts need once a page is open: then it is ready before a chart is asked for."""
        if self.warm is None:
            self.warm = asyncio.create_task(self.desk.ask("ready"))
            self.warm.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever asks next is told


def application(folders: Sequence[Path], token: str, port: int, trust: bool = False) -> Starlette:
    """Return the page of some folders. token: what opens it. port: where it will listen. trust: see ui/opening.py."""
    listing = Listing(folders)
    lab = Lab(listing, Watch(listing), Desk(trust), Desk(trust))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await lab.end()

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard, token=token, port=port)],
        exception_handlers={
            UserError: _sentence, Failed: _failed, HTTPException: _no_such, TooLarge: _too_large,
            ClientDisconnect: _gone,
        },
        lifespan=lifespan,
    )  # fmt: skip
    app.router.redirect_slashes = False  # an address means one thing
    app.state.lab = lab
    return app


def _lab(request: Request) -> Lab:
    return request.app.state.lab


# Answers to what went wrong: one sentence, for a page as JSON.


async def _sentence(request: Request, error: Exception) -> Response:
    return JSONResponse({"sentence": on_a_line(str(error))}, status_code=422)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"sentence": on_a_line(str(error))}, status_code=503)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {404: "there is nothing under this address", 405: "this address does not take that"}
    text = error.detail if error.detail not in ("Not Found", "Method Not Allowed") else sentence[error.status_code]
    return PlainTextResponse(f"classlab: {text}\n", status_code=error.status_code, headers=error.headers)


async def _too_large(request: Request, error: Exception) -> Response:
    return PlainTextResponse("classlab: that is larger than is taken here\n", status_code=413)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


# What a request names.


def _run(lab: Lab, key: str) -> Place:
    """Return the run that a key means. Raises UserError where it is not, or no longer, there."""
    if key not in lab.listing.runs:
        lab.listing.look()
    try:
        return lab.listing.runs[key]
    except KeyError:
        raise HTTPException(404, "there is no such run here; it may have been deleted") from None


def _study(lab: Lab, key: str) -> Place:
    if key not in lab.listing.studies:
        lab.listing.look()
    try:
        return lab.listing.studies[key]
    except KeyError:
        raise HTTPException(404, "there is no such study here; it may have been deleted") from None


def _subject(lab: Lab, request: Request) -> tuple[Place, str]:
    kind = request.path_params["kind"]
    if kind not in ("run", "study"):
        raise HTTPException(404)
    find = _run if kind == "run" else _study
    return find(lab, request.path_params["key"]), kind


async def _body(request: Request, **wanted: type | tuple[type, ...]) -> dict[str, Any]:
    """Return the JSON object that a request sends, with each wanted key of its type. Raises UserError."""
    picture = "picture" in wanted
    content = await request.body()
    if len(content) > JSON_BYTES and not picture:
        raise UserError(f"at most {JSON_BYTES:,} bytes are taken here")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError("the body must be JSON") from None
    if not isinstance(document, dict):
        raise UserError("the body must be a JSON object")
    found = {}
    for name, kind in wanted.items():
        value = document.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise UserError(f"{name} is missing, or is not of its kind")
        found[name] = value
    return found


def _whole(request: Request, name: str, default: int, most: int = 10**9) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= most):
        raise UserError(f"{name} must be a whole number from 0 to {most:,}")
    return int(text)


def _keys(request: Request, most: int) -> list[str]:
    keys = list(dict.fromkeys(request.query_params.getlist("run")))
    if not 1 <= len(keys) <= most:
        raise UserError(f"name 1 to {most} runs as ?run=…&run=…; got {len(keys)}")
    return keys


# Pages.


def _page(name: str) -> Endpoint:
    async def page(request: Request) -> Response:
        _lab(request).warm_up()
        return HTMLResponse(await asyncio.to_thread(views.page, name))

    return page


async def run_page(request: Request) -> Response:
    """A run."""
    _lab(request).warm_up()
    place = _run(_lab(request), request.path_params["key"])
    return HTMLResponse(views.page("run", key=place.key, name=place.name))


async def study_page(request: Request) -> Response:
    """A study."""
    _lab(request).warm_up()
    place = _study(_lab(request), request.path_params["key"])
    return HTMLResponse(views.page("study", key=place.key, name=place.name))


async def lesson_page(request: Request) -> Response:
    """The hand-worked network. Its own script sets styles of single elements."""
    html = await _lab(request).desk.ask("lesson", like=request.query_params.get("like", "era-s6"))
    policy = f"{POLICY}; style-src-attr 'unsafe-inline'"
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


async def report_page(request: Request) -> Response:
    """The report of a run or a study, made again from its files."""
    lab = _lab(request)
    place, kind = _subject(lab, request)
    return HTMLResponse(await lab.desk.ask("report", path=str(place.path), kind=kind))


async def report_file(request: Request) -> Response:
    """The report as a file to keep."""
    lab = _lab(request)
    place, kind = _subject(lab, request)
    html = await lab.desk.ask("report_file", path=str(place.path), kind=kind)
    name = "".join(sign for sign in place.path.name if sign.isascii() and (sign.isalnum() or sign in "-._"))
    disposition = f'attachment; filename="{name}-report.html"'
    return Response(html, media_type="application/octet-stream", headers={"Content-Disposition": disposition})


async def static(request: Request) -> Response:
    """One of our own styles or scripts, by its name in a fixed list."""
    found = await asyncio.to_thread(views.static, request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    text, kind = found
    return Response(text, media_type=kind, headers={"Cache-Control": "private, max-age=60"})


async def vega(request: Request) -> Response:
    """The script that draws charts. The child makes it once; it is kept here and in the browser."""
    lab = _lab(request)
    if lab.vega is None or (lab.vega.done() and lab.vega.exception()):
        lab.vega = asyncio.create_task(lab.drawings.ask("vega"))  # beside what the other child loads
    text = await asyncio.shield(lab.vega)
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "private, max-age=86400"})


# What pages ask for.


async def runs_now(request: Request) -> Response:
    """Every run's state, once."""
    lab = _lab(request)
    await lab.watch.look()
    return JSONResponse(finite([state.document() for state in lab.watch.states.values()]))


async def studies_now(request: Request) -> Response:
    """Every study."""
    lab = _lab(request)
    await asyncio.to_thread(lab.listing.look)
    return JSONResponse(await asyncio.to_thread(views.studies, lab.listing))


async def study_now(request: Request) -> Response:
    """A study's board: its variants, seeds and the run of each."""
    place = _study(_lab(request), request.path_params["key"])
    return JSONResponse(await asyncio.to_thread(views.board, place))


async def settings(request: Request) -> Response:
    """What differs among the groups of runs."""
    lab = _lab(request)
    await lab.watch.look()
    groups = {state.group: str(state.place.path) for state in lab.watch.states.values() if not state.problem}
    return JSONResponse(await lab.desk.ask("settings", groups=groups))


async def events_list(request: Request) -> Response:
    """The stream of the list of runs."""
    return StreamingResponse(streams.of_list(_lab(request).watch), media_type="text/event-stream", headers=STREAM)


async def events_rows(request: Request) -> Response:
    """The stream of some runs' rows; `after`, or the last event's id, says what the page has."""
    lab = _lab(request)
    keys = _keys(request, streams.MOST_RUNS)
    last = request.headers.get("last-event-id") or request.query_params.get("after")
    rows = streams.of_rows(lab.watch, keys, streams.numbers(last, len(keys)))
    return StreamingResponse(rows, media_type="text/event-stream", headers=STREAM)


async def run_curves(request: Request) -> Response:
    """A run's chart of loss or accuracy."""
    lab = _lab(request)
    place = _run(lab, request.path_params["key"])
    metric = request.query_params.get("metric", "loss")
    if metric not in ("loss", "accuracy"):
        raise UserError("a chart is of the loss or the accuracy")
    epochs = _whole(request, "epochs", 1, 100_000)
    return JSONResponse(await lab.desk.ask("run_curves", path=str(place.path), metric=metric, epochs=epochs))


async def sections(request: Request) -> Response:
    """The sections of a report, but its curves."""
    lab = _lab(request)
    place, kind = _subject(lab, request)
    return JSONResponse(await lab.desk.ask(f"{kind}_sections", path=str(place.path)))


async def comparison(request: Request) -> Response:
    """What may be believed of some runs."""
    lab = _lab(request)
    places = {str(_run(lab, key).path): key for key in _keys(request, MOST_COMPARED)}
    found = await lab.desk.ask("comparison", paths=[*places])
    found["variants"] = {name: [places[path] for path in paths] for name, paths in found["variants"].items()}
    return JSONResponse(found)


async def variant_curves(request: Request) -> Response:
    """The chart of variants, each the mean of its seeds."""
    from classlab import metrics

    lab = _lab(request)
    asked = await _body(request, variants=dict, metric=str, epochs=int)
    metric = asked["metric"]
    if not metrics.PATTERN.fullmatch(metric) or not 1 <= asked["epochs"] <= 100_000 or len(asked["variants"]) > 100:
        raise UserError("a chart is of a metric such as val_accuracy, of at most 100 variants and 100,000 epochs")
    runs = {}
    for name, keys in asked["variants"].items():
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise UserError("a variant is a list of runs")
        runs[str(name)] = {key: str(_run(lab, key).path) for key in keys[: streams.MOST_RUNS]}
    return JSONResponse(await lab.desk.ask("variant_curves", runs=runs, metric=metric, epochs=asked["epochs"]))


async def study_answer(request: Request) -> Response:
    """A study's answer so far."""
    lab = _lab(request)
    place = _study(lab, request.path_params["key"])
    return JSONResponse(await lab.desk.ask("study_answer", path=str(place.path)))


async def test_images(request: Request) -> Response:
    """Test images of a run, to choose one from."""
    lab = _lab(request)
    place = _run(lab, request.path_params["key"])
    kind, first = request.query_params.get("kind", "mistakes"), _whole(request, "from", 0)
    return JSONResponse(await lab.drawings.ask("test_images", path=str(place.path), kind=kind, place=first))


async def predict(request: Request) -> Response:
    """What a run's network says of a drawing or a picture."""
    lab = _lab(request)
    asked = await _body(request, run=str, picture=str)
    place = _run(lab, asked["run"])
    return JSONResponse(await lab.drawings.ask("predict", path=str(place.path), picture=asked["picture"]))


async def inside(request: Request) -> Response:
    """Every feature map of a run's network, for a picture or for a test image."""
    return await _of_image(request, "inside")


async def evidence(request: Request) -> Response:
    """What of a picture or a test image speaks for a run's answer."""
    return await _of_image(request, "evidence")


async def _of_image(request: Request, question: str) -> Response:
    lab = _lab(request)
    asked = await _body(request, run=str, picture=(str, type(None)), index=(int, type(None)))
    place = _run(lab, asked["run"])
    given = {"picture": asked["picture"], "index": asked["index"]}
    return JSONResponse(await lab.drawings.ask(question, path=str(place.path), **given))


async def map_checks(request: Request) -> Response:
    """Whether the maps of what speaks for a run's answers can be believed."""
    lab = _lab(request)
    place = _run(lab, request.path_params["key"])
    return JSONResponse(await lab.desk.ask("map_checks", path=str(place.path)))


async def dataset(request: Request) -> Response:
    """A dataset's facts and samples."""
    return JSONResponse(await _lab(request).desk.ask("dataset", name=request.path_params["name"]))


async def augmentations(request: Request) -> Response:
    """Every augmentation with its options."""
    return JSONResponse(await _lab(request).desk.ask("augmentations"))


async def augmented(request: Request) -> Response:
    """Images as the network may meet them."""
    asked = await _body(request, dataset=str, choices=list, seed=int)
    given = {"name": asked["dataset"], "choices": asked["choices"], "seed": asked["seed"] % 2**32}
    return JSONResponse(await _lab(request).desk.ask("augmented", **given))


async def form(request: Request) -> Response:
    """The settings of a shipped experiment."""
    return JSONResponse(await _lab(request).desk.ask("form", experiment=request.path_params["name"]))


async def command(request: Request) -> Response:
    """The command that the form means, to be copied."""
    asked = await _body(request, experiment=str, settings=dict, seeds=int, first_seed=int, report=bool)
    if not all(isinstance(value, str) for value in asked["settings"].values()):
        raise UserError("a setting's value is sent as text")
    return JSONResponse(await _lab(request).desk.ask("command", **asked))


def _get(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["GET"])


def _post(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["POST"])


ROUTES = [
    *(_get("/" if name == "runs" else f"/{name}", _page(name)) for name in views.PLAIN),
    _get("/run/{key}", run_page),
    _get("/study/{key}", study_page),
    _get("/lesson", lesson_page),
    _get("/report/{kind}/{key}", report_page),
    _get("/report/{kind}/{key}/file", report_file),
    _get("/static/{name}", static),
    _get("/vega.js", vega),
    _get("/api/runs", runs_now),
    _get("/api/settings", settings),
    _get("/api/studies", studies_now),
    _get("/api/study/{key}", study_now),
    _get("/api/study/{key}/answer", study_answer),
    _get("/api/run/{key}/curves", run_curves),
    _get("/api/run/{key}/images", test_images),
    _get("/api/run/{key}/map-checks", map_checks),
    _get("/api/sections/{kind}/{key}", sections),
    _get("/api/comparison", comparison),
    _get("/api/dataset/{name}", dataset),
    _get("/api/augmentations", augmentations),
    _get("/api/form/{name}", form),
    _get("/events/runs", events_list),
    _get("/events/rows", events_rows),
    _post("/api/curves", variant_curves),
    _post("/api/predict", predict),
    _post("/api/inside", inside),
    _post("/api/evidence", evidence),
    _post("/api/augmented", augmented),
    _post("/api/command", command),
]
