"""The whole script: its head, settings, data, network, augmentation, schedule, loop and evaluation."""

from classlab.formats import listed
from classlab.use.export.eject import changes_code, data_code, network_code, stories, training_code
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import WIDTH, Passage, assigned, code, filled, imports, literal, said
from classlab.use.export.eject.readers_files import module_of, names, script_name
from classlab.version import __version__

NAMES_AT_MOST = 40  # class names in the script; more are read from data.npz
HEAD = '''
    """$title

    $commands

    $about
    """
'''
RANDOM = '''
    def generator(seed, epoch, purpose):
        """Return random numbers for one purpose, which depend on none that were drawn before."""
        digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
'''


def text(leaving: Leaving) -> str:
    """Return the script."""
    parts = passages(leaving)
    body = "\n\n".join(f"{_banner(part.title)}\n{part.code}" for part in parts[1:])
    settings = parts[0].code
    last = code("""
        if __name__ == "__main__":
            main()
    """)
    lines = imports(f"{settings}\n{body}", modules(leaving))
    return f"{_head(leaving)}\n\n{lines}\n\n{_banner('settings')}\n{settings}\n\n{body}\n\n{last}\n"


def modules(leaving: Leaving) -> list[str]:
    """Return the imports of the reader's own files."""
    return [f"import {module}" for module in sorted({module_of(name) for name in names(leaving.experiment)})]


def passages(leaving: Leaving, notebook: bool = False) -> list[Passage]:
    """Return the parts of the script in reading order; a part that the experiment does not need is left out."""
    loop = "\n\n".join([training_code.batches(leaving), training_code.loop(leaving)])
    parts = [
        Passage("settings", stories.settings(), _settings(leaving, notebook)),
        Passage("random numbers", stories.random_numbers(), code(RANDOM)),
        Passage("data", stories.data(leaving), data_code.data(leaving)),
        Passage("network", stories.network(leaving), network_code.network(leaving)),
        Passage("augmentation", stories.augmentation(leaving), changes_code.changes(leaving)),
        Passage("learning rate", stories.schedule(leaving), training_code.schedule(leaving)),
        Passage("training: the loop", stories.loop(leaving), loop),
        Passage("evaluation", stories.evaluation(leaving), training_code.evaluation(leaving)),
    ]
    parts += [] if notebook else [Passage("command line", "", _main(leaving))]
    return [part for part in parts if part.code]


def _banner(title: str) -> str:
    return f"# ---- {title} ".ljust(WIDTH - 20, "-")


def _head(leaving: Leaving) -> str:
    experiment, file = leaving.experiment, script_name(leaving.experiment.name, leaving.files)
    where = f"the run {said(leaving.run)} (seed {leaving.seed}, {said(leaving.outcome)})" if leaving.run else "it"
    beside = ["weights.npz", *([] if leaving.published else ["data.npz"]), *(["start.npz"] if leaving.started else []),
              *sorted(leaving.files)]  # fmt: skip
    about = (
        f"Plain PyTorch, written by classlab {__version__} from {where}. It needs torch, numpy and {listed(beside)} "
        "beside it. Random numbers are drawn as in classlab, so that on a processor the same seed gives the same "
        f"losses to the last digit as {_exact(leaving)}."
    )
    words = {
        "": f"train: {experiment.training.epochs} epochs",
        " --check": "test weights.npz, what classlab trained",
        " --steps 20": "print the losses of the first 20 steps",
    }
    return code(
        HEAD, title=filled(f"{said(experiment.name)}: {said(experiment.description) or 'an experiment'}"[:500], 3),
        commands="\n".join(f"    python {file}.py{key:12}{text}"[: WIDTH - 1].rstrip() for key, text in words.items()),
        about=filled(about),
    )  # fmt: skip


def _exact(leaving: Leaving) -> str:
    if leaving.settings.precision == "bf16":
        return "there with training.precision=fp32 and training.native=false (this run was trained in bf16)"
    return "there with training.native=false" if leaving.settings.native else "there"


def _settings(leaving: Leaving, notebook: bool) -> str:
    training = leaving.experiment.training
    lines = [f"SEED, EPOCHS, BATCH_SIZE = {leaving.seed}, {training.epochs}, {training.batch_size}"]
    rate = training.optimizer.options.get("learning_rate")
    if "LEARNING_RATE" in training_code.optimizer(leaving) or "LEARNING_RATE" in training_code.loop(leaving):
        highest = "  # the highest; see below" if training_code.schedule_call(leaving) else ""
        lines.append(f"LEARNING_RATE = {literal(rate)}{highest}")
    dtype = ", dtype=torch.float64" if leaving.double else ""
    lines.append('DEVICE = "cuda" if torch.cuda.is_available() else "cpu"')
    values = f"{literal([list(leaving.mean), list(leaving.std)])}{dtype}, device=DEVICE"
    lines.append(f"MEAN, STD = torch.tensor({values}).view(2, 1, -1, 1, 1)")
    if not leaving.reconstructs:
        lines.append(_class_names(leaving))
        lines.append(f"TEMPERATURE = {leaving.temperature:.6g}  # of the softmax: it makes probabilities credible")
    lines.append(f"HERE = {'Path()' if notebook else 'Path(__file__).resolve().parent'}")
    lines.append("DATA = HERE  # the folder of data.npz" if not leaving.published else
                 f'DATA = HERE / "{leaving.published}"  # what is missing in this folder is downloaded')  # fmt: skip
    threads = leaving.settings.threads
    lines.append(f"torch.set_num_threads({threads})  # as classlab chose; the last digits depend on it")
    return "\n".join(lines)


def _class_names(leaving: Leaving) -> str:
    longest = max(len(literal(name)) for name in leaving.class_names)
    if not leaving.published and (len(leaving.class_names) > NAMES_AT_MOST or longest > 80):
        return 'CLASSES = np.load(HERE / "data.npz")["class_names"].tolist()'
    return assigned("CLASSES", leaving.class_names)


def _main(leaving: Leaving) -> str:
    if leaving.reconstructs:
        result = "print(f\"test loss {evaluate(net, *data['test']):.4f}\")"
    else:
        result = code(
            """
            loss, accuracy = evaluate(net, *data["test"])
            sure = (answers(net, data["test"][0]) / TEMPERATURE).softmax(1).max(1).values
            print(f"test loss {loss:.4f}, {100 * accuracy:.2f} % right, {100 * sure.mean():.2f} % sure")
            """
        )
    return code(
        '''
        def main():
            parser = argparse.ArgumentParser(description="Train the network, or test the trained one.")
            parser.add_argument("--check", action="store_true", help="test the weights in weights.npz")
            parser.add_argument("--seed", type=int, default=SEED, help="of all random numbers")
            parser.add_argument("--steps", type=int, help="print the losses of so many steps, and end")
            parser.add_argument("--data", type=Path, default=DATA, help="the folder of the images")
            asked = parser.parse_args()
            data = load(asked.data)
            net = trained() if asked.check else network(asked.seed)
            if not asked.check:
                losses, _ = train(net, data, asked.seed, asked.steps)
                if asked.steps:
                    return print(*losses, sep="\\n")
            $result
        ''',
        result=result,
    )  # fmt: skip
