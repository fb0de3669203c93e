"""The whole script: its head, settings, and the passages of data, network, augmentation, schedule, loop and evaluation."""

from classlab.formats import listed
from classlab.use.export.eject import changes_code, data_code, network_code, training_code
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import WIDTH, Passage, assigned, code, filled, imports, literal, said
from classlab.use.export.eject.readers_files import module_of, names, script_name
from classlab.version import __version__

NAMES_AT_MOST = 40  # class names in the script; more are read from data.npz
HEAD = '''
    """$title

        python $file.py             train: $epochs
        python $file.py --check     test the weights in weights.npz, which classlab trained
        python $file.py --steps 20  make 20 steps and print their losses to the last digit

    $about
    """
'''
RANDOM = '''
    def number(seed, epoch, purpose):
        """Return a seed for each purpose and epoch: so no draw depends on how many there were before."""
        digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1


    def generator(seed, epoch, purpose):
        return torch.Generator().manual_seed(number(seed, epoch, purpose))
'''
def text(leaving: Leaving) -> str:
    """Return the script."""
    parts = passages(leaving)
    body = "\n\n\n".join(f"{_banner(part.title)}\n{part.code}" for part in parts[1:])
    settings = parts[0].code
    last = code('''
        if __name__ == "__main__":
            main()
    ''')
    lines = imports(f"{settings}\n{body}", modules(leaving))
    return f"{_head(leaving)}\n\n{lines}\n\n{_banner('settings')}\n{settings}\n\n\n{body}\n\n\n{last}\n"


def modules(leaving: Leaving) -> list[str]:
    """Return the imports of the reader's own files."""
    return [f"import {module}" for module in sorted({module_of(name) for name in names(leaving.experiment)})]


def passages(leaving: Leaving, notebook: bool = False) -> list[Passage]:
    """Return the parts of the script in reading order; a part that the experiment does not need is left out."""
    changes, plan = changes_code.changes(leaving), training_code.schedule(leaving)
    data = data_code.data(leaving)
    loop = "\n\n".join([training_code.batches(leaving), training_code.loop(leaving)])
    parts = [
        Passage("settings", "What can be turned, and the numbers of this experiment.", _settings(leaving, notebook)),
        Passage("random numbers", "Seeded for each purpose apart.", code(RANDOM).replace("\n\n\n", "\n\n")),
        Passage("data", _data_story(leaving), data),
        Passage("network", _network_story(leaving), network_code.network(leaving)),
        Passage("augmentation", _changes_story(leaving), changes),
        Passage("learning rate", "The learning rate is not the same in every step.", plan),
        Passage("training: the loop", "Batch, forward, loss, backward, update: all that training is.", loop),
        Passage("evaluation", "Nothing is changed and nothing is learnt here.", training_code.evaluation(leaving)),
        Passage("command line", "", _main(leaving)),
    ]
    return [part for part in parts if part.code]


def _banner(title: str) -> str:
    return f"# ---- {title} ".ljust(WIDTH - 20, "-")


def _head(leaving: Leaving) -> str:
    experiment = leaving.experiment
    where = f"the run {said(leaving.run)} (seed {leaving.seed}), {leaving.outcome}" if leaving.run else f"seed {leaving.seed}"
    exact = {
        "fp32": "to the last digit",
        "fp64": "to the last digit",
        "bf16": "to the last digit of a run with training.precision=fp32 (this one was trained in bf16)",
    }[leaving.settings.precision]
    beside = ["weights.npz"] + (["data.npz"] if not leaving.published else []) + (
        ["start.npz"] if leaving.started else []) + sorted(leaving.files)  # fmt: skip
    about = (
        f"Plain PyTorch, written by classlab {__version__} from {where}. It needs torch and numpy, and "
        f"{listed(beside)} beside it. Its random numbers are drawn as there, so the losses are the same {exact}, on a "
        "processor, by torch's step (training.native=false)."
    )
    return code(
        HEAD, title=filled(f"{said(experiment.name)}: {said(experiment.description) or 'an experiment'}")[:600],
        file=script_name(experiment.name, leaving.files), epochs=f"{experiment.training.epochs} epochs",
        about=filled(about),
    )  # fmt: skip


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
        lines.append(f"TEMPERATURE = {leaving.temperature:.6g}  # of the softmax, so that probabilities can be believed")
    lines.append(f"HERE = {'Path()' if notebook else 'Path(__file__).resolve().parent'}")
    folder = f'HERE / "{leaving.published}"' if leaving.published else "HERE"
    lines.append(f"DATA = {folder}  # the folder of the images; what is missing there is downloaded" if leaving.published
                 else "DATA = HERE  # the folder of data.npz")  # fmt: skip
    lines.append(f"torch.set_num_threads({leaving.settings.threads})  # as classlab chose; the last digits depend on it")
    return "\n".join(lines)


def _class_names(leaving: Leaving) -> str:
    longest = max(len(literal(name)) for name in leaving.class_names)
    if not leaving.published and (len(leaving.class_names) > NAMES_AT_MOST or longest > 80):
        return 'CLASSES = np.load(HERE / "data.npz")["class_names"].tolist()'
    return assigned("CLASSES", leaving.class_names)


def _main(leaving: Leaving) -> str:
    if leaving.reconstructs:
        result = 'print(f"test loss {evaluate(net, *data[\'test\']):.4f}")'
    else:
        result = code(
            '''
            loss, accuracy = evaluate(net, *data["test"])
            sure = (answers(net, data["test"][0]) / TEMPERATURE).softmax(1).max(1).values
            print(f"test loss {loss:.4f}, {100 * accuracy:.2f} % right, {100 * sure.mean():.2f} % sure")
            '''
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


def _data_story(leaving: Leaving) -> str:
    name = leaving.published or leaving.experiment.data.dataset.name
    channels, height, width = leaving.shape
    text = f"{leaving.train_images:,} images of {said(str(name))} to train on, {height} × {width} pixels"
    text += ", grey." if channels == 1 else ", in colour." if channels == 3 else f", {channels} channels."
    held = leaving.whole - leaving.train_images
    return text + (f" {held:,} are held out to watch the training, the test images are for the end." if held else "")


def _network_story(leaving: Leaving) -> str:
    count = sum(parameter.numel() for parameter in leaving.network.parameters())
    goal = "draws each image again" if leaving.reconstructs else f"answers with {len(leaving.class_names)} numbers, the largest of which is its class"
    return f"{count:,} parameters. The network {goal}."


def _changes_story(leaving: Leaving) -> str:
    return "Training images are changed, so that the network meets more of them than there are."

