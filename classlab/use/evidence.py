"""Evidence: what in an image speaks for the class that a run's network answers, or for another, and can it be believed.

The maps are made in network/attribution.py and checked in network/map_checks.py; here a run is asked for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from classlab import readers_code
from classlab.errors import UserError, did_you_mean, listing
from classlab.formats import count, decimals
from classlab.yaml_text import value_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classlab.network.attribution import MapLayer
    from classlab.network.map_checks import MapCheck
    from classlab.runs.finished import FinishedRun

Method = Literal["grad_cam", "occlusion", "integrated_gradients"]
METHODS: tuple[Method, ...] = get_args(Method)
WORDS = {"grad_cam": "Grad-CAM", "occlusion": "occlusion", "integrated_gradients": "integrated gradients"}
IMAGES = 12  # the most confident mistakes, where no images are given
DRAWS = 3  # of random weights
CHECKED = 8  # of them, by which a report and the page check each method
MOST = 1000  # images at once
NOTHING = "no evidence for this class"
LEAST = 1e-6  # of the score's size: what is smaller is rounding


@dataclass(frozen=True, eq=False)
class Evidence:
    """Maps of one method for several images. Shows itself in a notebook.

    maps: float32 (count, height, width), in units of the score; above zero speaks for the class, below against it.
    images: uint8 (count, channels, height, width), as the network saw them. classes: which class each map is about;
    predicted: the network's answers; true: "" where not known. scores: the network's output for the class, float32
    (count,). empty: bool (count,), whether nothing in the map speaks for the class. indices: of test images, -1 for the
    reader's own. layer: whose maps Grad-CAM weighs, None for other methods. sums, differences: of integrated gradients,
    what each map adds up to and what it has to, float32 (count,); else None. inputs: the images as the network took
    them, normalised.
    """

    method: Method
    maps: np.ndarray
    images: np.ndarray
    classes: tuple[str, ...]
    predicted: tuple[str, ...]
    true: tuple[str, ...]
    scores: np.ndarray
    empty: np.ndarray
    indices: np.ndarray
    layer: "MapLayer | None" = None
    sums: np.ndarray | None = None
    differences: np.ndarray | None = None
    inputs: "Tensor | None" = field(default=None, repr=False)
    network: "Network | None" = field(default=None, repr=False)

    @cached_property
    def check(self) -> "MapCheck":
        """Whether these maps depend on what the network learnt, and name what matters; see network/map_checks.py."""
        assert self.network is not None, "evidence that a run gave has its network"
        return self.network.check(self)

    def pictures(self) -> np.ndarray:
        """Return each map over its image, uint8 (count, 3, height, width)."""
        return np.stack([self.picture(place) for place in range(len(self.maps))])

    def picture(self, place: int) -> np.ndarray:
        """Return the map at a place over its image, uint8 (3, height, width)."""
        from classlab.drawing.heat_maps import over_image

        return over_image(self.images[place], self.maps[place])

    def about(self) -> str:
        """Return in words what the maps are made of, and whether integrated gradients add up."""
        from classlab.network.attribution import window

        if self.layer:
            return layer_sentence(self.layer, self.maps.shape[1:])
        if self.sums is None or self.differences is None:
            tall, wide = (window(side)[0] for side in self.maps.shape[1:])
            return f"how much the score falls where a patch of {tall} × {wide} pixels hides the image"
        gap = np.abs(self.sums - self.differences)
        worst, start = int(gap.argmax()), "a black image" if len(self.images[0]) == 1 else "an image of the mean colour"
        return (
            f"the pixels add up to {decimals(self.sums[worst])} where the score rises by "
            f"{decimals(self.differences[worst])} from {start}{', the worst of these' if len(gap) > 1 else ''}"
        )

    def sentence(self) -> str:
        """Return in words what the maps are, and of how many images they show nothing."""
        text, nothing = f"{WORDS[self.method]}, {count(len(self.maps), 'image')}: {self.about()}", int(self.empty.sum())
        return text + (f"; {nothing} of {len(self.maps)} show {NOTHING}" if nothing else "")

    def lines(self, place: int) -> tuple[str, ...]:
        """Return what stands under the map at this place: the class, and that it shows nothing where it does not."""
        return (f"for {self.classes[place]}", *([NOTHING] if self.empty[place] else []))

    def _repr_html_(self) -> str:
        """Return the pictures as SVG, with what they are below."""
        from html import escape

        from classlab.drawing.blocks import Picture, Pictures
        from classlab.drawing.grids import gallery
        from classlab.drawing.heat_maps import KEY

        parts = tuple(
            Picture(picture, "", (f"{self.predicted[place]} predicted", *self.lines(place)))
            for place, picture in enumerate(self.pictures())
        )
        title = WORDS[self.method][:1].upper() + WORDS[self.method][1:]
        return gallery(Pictures(title, parts), title=title, notes=(KEY,)) + f"<p>{escape(self.sentence())}</p>"


class Network:
    """A run's network made ready to say where its answers came from. Raises UserError where it names no class."""

    def __init__(self, run: "FinishedRun") -> None:
        if run.reconstructs:
            raise UserError(
                f"{run.path} reconstructs images and names no class, so there is no class to find evidence for; "
                "its report shows what it reconstructs badly, and in which pixels"
            )
        self.run = run
        channels, height, width = run.environment["input_shape"]
        self.shape: tuple[int, int, int] = (channels, height, width)
        self.names: list[str] = run.environment["class_names"]

    @cached_property
    def model(self) -> "nn.Module":
        """The network with the selected weights, on the processor, in evaluation mode."""
        return self.run.built().float().eval()

    @cached_property
    def random_models(self) -> "list[nn.Module]":
        """The same network with weights that nobody trained, several draws of them."""
        return [random_twin(self.model, seed) for seed in range(DRAWS)]

    @cached_property
    def ground(self) -> "Tensor":
        """What a hidden pixel shows, normalised, (1, channels, 1, 1): black of grey images, of others the mean colour.

        The ground of drawn digits is black, and says that nothing is there; in a photograph black is a colour like any.
        The mean is the normalisation's, mid grey where it takes none.
        """
        import torch

        mean, std = (torch.tensor(self.run.environment["normalise"][key]).view(1, -1, 1, 1) for key in ("mean", "std"))
        if self.shape[0] == 1:
            return (0 - mean) / std
        return torch.zeros_like(mean) if mean.any() else (0.5 - mean) / std

    def mistakes(self, count: int) -> np.ndarray:
        """Return the indices of the test images that the run got wrong with the most confidence, int64.

        Where a run augmented its test images too, only those count that are answered wrongly as they are, too.
        Raises UserError where it gets none wrong.
        """
        import torch

        surest = self.run.mistakes(count if self.run.experiment.protocol.augment == "train" else 10 * count)
        found = surest["index"].to_numpy()
        if len(found):
            index = torch.from_numpy(found.astype(np.int64))
            tested = self.run.images("test")
            answers = self._answers(tested.batch(index, [], None)[0])
            found = found[(answers != tested.labels[index]).numpy()][:count]
        if not len(found):
            raise UserError(f"{self.run.path} makes no mistakes on its test images; give images or their indices")
        return found

    def _answers(self, inputs: "Tensor") -> "Tensor":
        """Return the classes that the network answers for normalised images, int64 (count,)."""
        import torch

        from classlab.network import attribution

        with readers_code.running(), torch.no_grad():
            return torch.cat([self.model(part) for part in inputs.split(attribution.BATCH)]).argmax(1)

    def layer(self, wanted: str | None = None) -> "MapLayer":
        """Return the layer that Grad-CAM takes; see attribution.map_layer. Raises UserError where there is none."""
        import torch

        from classlab.network.attribution import map_layer

        with readers_code.running():
            return map_layer(self.model, torch.zeros(1, *self.shape), wanted)

    def methods(self) -> list[Method]:
        """Return the methods that this network allows: without a convolution all but Grad-CAM."""
        try:
            self.layer()
        except UserError:
            return [method for method in METHODS if method != "grad_cam"]
        return list(METHODS)

    def maps(
        self,
        model: "nn.Module",
        method: Method,
        inputs: "Tensor",
        classes: "Tensor",
        layer: "MapLayer | None",
        most_steps: int = 128,
    ) -> "tuple[np.ndarray, np.ndarray | None, np.ndarray | None]":
        """Return the maps of normalised images, and of integrated gradients what each adds up to and what it has to."""
        from classlab.network import attribution

        with readers_code.running():
            if method == "grad_cam":
                assert layer is not None
                return attribution.grad_cam(model, inputs, classes, layer).numpy(), None, None
            if method == "occlusion":
                return attribution.occlusion(model, inputs, classes, self.ground).numpy(), None, None
            found = attribution.integrated_gradients(model, inputs, classes, self.ground, most_steps)
        return found[0].numpy(), found[1].numpy(), found[2].numpy()

    def evidence(
        self,
        images: Any = None,
        method: Method = "grad_cam",
        classes: str | Sequence[str] = "predicted",
        layer: str | None = None,
    ) -> Evidence:
        """Return the maps of a method for images; see explain."""
        import torch

        from classlab.network import attribution

        _check_method(method)
        if layer is not None and method != "grad_cam":
            raise UserError(f"layer is of grad_cam alone; {method} looks at the whole network")
        indices, pixels, inputs, true = self._chosen(images)
        chosen_layer = self.layer(layer) if method == "grad_cam" else None
        answers = self._answers(inputs)
        wanted = torch.from_numpy(self._wanted(classes, answers.numpy(), true))
        with readers_code.running():
            scores = attribution.scores(self.model, inputs, wanted).numpy()
        maps, sums, differences = self.maps(self.model, method, inputs, wanted, chosen_layer)
        if not np.isfinite(maps).all():
            raise UserError(f"the network of {self.run.path} gives numbers that are not finite for these images")
        empty = maps.max(axis=(1, 2)) <= LEAST * np.maximum(1.0, np.abs(scores))
        return Evidence(
            method, maps, _as_bytes(pixels), self._called(wanted.numpy()), self._called(answers.numpy()),
            self._called(true), scores, empty, indices, chosen_layer, sums, differences, inputs, self,
        )  # fmt: skip

    def check(self, evidence: Evidence) -> "MapCheck":
        """Return what the two checks say of maps."""
        import torch

        from classlab.network import map_checks

        inputs = evidence.inputs
        assert inputs is not None, "evidence that a run gave has its inputs"
        classes = torch.tensor([self.names.index(name) for name in evidence.classes])
        random_maps = np.stack(
            [self.maps(twin, evidence.method, inputs, classes, evidence.layer, 32)[0] for twin in self.random_models]
        )
        order = map_checks.orders_of(evidence.maps, torch.Generator().manual_seed(0))
        with readers_code.running():
            deleted = map_checks.deletion(self.model, inputs, classes, order, self.ground)
            at_random = map_checks.deletion_at_random(self.model, inputs, classes, self.ground)
        return map_checks.check_maps(evidence.maps, random_maps, deleted, at_random)

    def _chosen(self, images: Any) -> "tuple[np.ndarray, np.ndarray, Tensor, np.ndarray]":
        """Return indices of test images, the images as bytes and normalised, their true classes; -1: not known."""
        import torch

        if images is None:
            images = self.mistakes(IMAGES)
        given = np.asarray([images] if isinstance(images, int) else images)
        if not len(given) or len(given) > MOST:
            raise UserError(f"1 to {MOST:,} images are explained at once; got {len(given):,}")
        if given.ndim == 1 and given.dtype.kind in "iu":
            tested = self.run.images("test")
            if not ((given >= 0) & (given < len(tested))).all():
                raise UserError(
                    f"indices are of the test images 0 to {len(tested) - 1:,}; got {value_text(given.tolist()[:6])}"
                )
            index = torch.from_numpy(given.astype(np.int64))
            inputs, _ = tested.batch(index, [], None)
            return given, _as_bytes(self.run.dataset().test_images[given]), inputs, tested.labels[index].numpy()
        single = given.ndim == 2 or (given.ndim == 3 and given.shape == self.shape)
        given = given[None] if single else given
        given = given[:, None] if given.ndim == 3 else given
        unknown = np.full(len(given), -1)
        return unknown, _as_bytes(given), self.run.normalised(given), unknown

    def _wanted(self, classes: str | Sequence[str], answers: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Return the class that each map is to be about, int64 (count,)."""
        if classes == "predicted":
            return answers
        if classes == "true":
            if (true < 0).any():
                raise UserError("the true class of images of your own is not known; name it: classes='7'")
            return true.astype(np.int64)
        names = [classes] * len(answers) if isinstance(classes, str) else [str(name) for name in classes]
        unknown = next((name for name in names if name not in self.names), None)
        if unknown is not None:
            known = ["predicted", "true", *self.names]
            raise UserError(
                f"classes must be predicted, true or a class of the run; got {unknown}"
                f"{did_you_mean(unknown, known) or ';'} its classes are {listing(self.names, 20)}"
            )
        if len(names) != len(answers):
            raise UserError(f"classes must be one for all images or one for each of {len(answers)}; got {len(names)}")
        return np.array([self.names.index(name) for name in names])

    def _called(self, numbers: np.ndarray) -> tuple[str, ...]:
        return tuple(self.names[number] if number >= 0 else "" for number in numbers)


def explain(
    run: "FinishedRun",
    images: Any = None,
    method: Method = "grad_cam",
    *,
    classes: str | Sequence[str] = "predicted",
    layer: str | None = None,
) -> Evidence:
    """Return what in images speaks for a class of the run's network.

    images: an index or indices of test images; or images in the network's shape, uint8 or fractions 0…1; None takes the
    most confident mistakes. method: grad_cam, occlusion or integrated_gradients. classes: predicted, true, or names.
    layer: of grad_cam, the path of a convolution; None takes the last whose maps have 4 × 4 pixels or more.
    Raises UserError for a run that names no class, and for Grad-CAM where there is no convolution.
    """
    return Network(run).evidence(images, method, classes, layer)


def layer_sentence(layer: "MapLayer", shape: Sequence[int]) -> str:
    """Say whose maps Grad-CAM weighs, why, and at what resolution."""
    after = "" if layer.path == layer.convolution else f" (as they leave {layer.path})"
    height, width = shape
    return (
        f"the maps of {layer.convolution}{after}, {layer.height} × {layer.width} pixels, enlarged to "
        f"{height} × {width} by straight lines between them"
    )


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise UserError(
            f"method must be {listing(METHODS)}; got {value_text(method)}{did_you_mean(str(method), METHODS)}"
        )


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Return images as uint8; floats of any scale reach from black to white, as in drawing/thumbnails.py."""
    if images.dtype == np.uint8:
        return images
    low, high = (0.0, 1.0) if images.size and 0 <= images.min() <= images.max() <= 1 else (images.min(), images.max())
    return ((images - low) * (255 / (high - low or 1.0)) + 0.5).astype(np.uint8)


def random_twin(model: "nn.Module", seed: int = 0) -> "nn.Module":
    """Return a copy of a network with new random weights; bare parameters, of which nothing says how, are shuffled.

    The caller's random state is left as it was.
    """
    import copy

    import torch

    from classlab.models import initialise

    twin = copy.deepcopy(model)
    before = {name: values.detach().clone() for name, values in twin.named_parameters()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        initialise.default(twin, torch.Generator())
        for name, values in twin.named_parameters():
            if torch.equal(values, before[name]):
                values.copy_(values.flatten()[torch.randperm(values.numel())].view_as(values))
    return twin.eval()
