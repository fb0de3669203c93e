"""Schedule, loop and evaluation in a script, as the experiment has them."""

import re
from typing import Any

from classlab import lookup, own_code
from classlab.experiment import Choice
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import call, code, docstring, literal, number
from classlab.use.export.eject.readers_files import attribute_of

MASKS = 'torch.manual_seed(generator(seed, epoch, "modules").initial_seed())'
EVALUATED = 200  # images at a time, as training.evaluate takes them


def schedule(leaving: Leaving) -> str:
    """Return the function `schedule`, "" for a constant rate."""
    choice = leaving.experiment.training.schedule
    options = choice.options
    match choice.name:
        case "constant":
            return ""
        case "step":
            return code(
                '''
                def schedule(step, steps_per_epoch):
                    """Return the factor on the learning rate: times $factor after every $every epochs."""
                    return $factor ** (step // steps_per_epoch // $every)
                ''',
                factor=options["factor"], every=options["every_epochs"],
            )  # fmt: skip
        case "cosine":
            return code(
                '''
                def schedule(step, steps):
                    """Return the factor on the learning rate: half a cosine down to 0."""
                    return (1 + math.cos(math.pi * step / steps)) / 2
                '''
            )
        case "one_cycle":
            return _one_cycle(options, leaving)
        case "warm_up":
            return _warm_up(options)
        case "plateau":
            return code(
                '''
                def schedule(watched):
                    """Return the factor on the learning rate: less where the loss no longer falls."""
                    result, lowest, waited = 1.0, math.inf, 0
                    for loss in watched:
                        fell = loss < lowest * (1 - $threshold / 100)
                        lowest, waited = (loss, 0) if fell else (lowest, waited + 1)
                        if waited > $patience:
                            result, waited = result * $factor, 0
                    return result
                ''',
                threshold=options["threshold_percent"], patience=options["patience_epochs"], factor=options["factor"],
            )  # fmt: skip
    return ""


def _one_cycle(options: dict[str, Any], leaving: Leaving) -> str:
    warmup, steps = options["warmup_percent"], leaving.experiment.training.epochs * leaving.steps_per_epoch
    if not 0 < warmup / 100 * steps - 1 <= steps - 2:
        return code(
            '''
            def schedule(step, steps):
                """Return the factor on the learning rate: half a cosine down."""
                share = step / max(steps - 1, 1)
                return $end + (1.0 - $end) * (1 + math.cos(math.pi * share)) / 2
            ''',
            end=options["end_factor"],
        )  # fmt: skip
    return code(
        '''
        def schedule(step, steps):
            """Return the factor on the learning rate: half a cosine up, then half a cosine down."""
            peak = $warmup / 100 * steps - 1  # the step with the full rate
            if step <= peak:
                start, end, share = $start, 1.0, step / peak
            else:
                start, end, share = 1.0, $end, (step - peak) / (steps - 1 - peak)
            return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
        ''',
        warmup=number(warmup), start=options["start_factor"], end=options["end_factor"],
    )  # fmt: skip


def _warm_up(options: dict[str, Any]) -> str:
    after = {
        "constant": "return 1.0",
        "linear": "return 1 - (step - warmup) / max(steps - warmup, 1)",
        "cosine": "return (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2",
    }[options["then"]]
    needs = "step, steps_per_epoch" if options["then"] == "constant" else "step, steps_per_epoch, steps"
    return code(
        '''
        def schedule($needs):
            """Return the factor on the learning rate: a line up for $epochs epochs, then $then."""
            warmup = $epochs * steps_per_epoch
            if step < warmup:
                return (step + 1) / (math.floor(warmup) + 1)
            $after
        ''',
        needs=needs, epochs=options["warmup_epochs"], then=options["then"], after=after,
    )  # fmt: skip


def schedule_call(leaving: Leaving) -> str:
    """Return the call of the schedule in the loop, "" for a constant rate."""
    choice = leaving.experiment.training.schedule
    known = {"step": "len(losses)", "steps": "steps", "steps_per_epoch": "steps_per_epoch", "losses": "watched"}
    if own_code.is_own_code(choice.name):
        asked = lookup.taken("schedule", lookup.find("schedule", choice.name))
        given = [f"{name}={known[name]}" for name in asked] + _options(choice)
        return f"{attribute_of(choice.name)}({', '.join(given)})"
    asked = {
        "constant": "", "step": "len(losses), steps_per_epoch", "cosine": "len(losses), steps",
        "one_cycle": "len(losses), steps", "plateau": "watched",
        "warm_up": "len(losses), steps_per_epoch" + (", steps" if choice.options.get("then") != "constant" else ""),
    }[choice.name]  # fmt: skip
    return f"schedule({asked})" if asked else ""


def loss(leaving: Leaving, labels: str = "targets") -> str:
    """Return the expression of the loss of `outputs` and the targets, or of `inputs` and `clean`."""
    choice = leaving.experiment.training.loss
    if own_code.is_own_code(choice.name):
        asked = lookup.taken("loss", lookup.find("loss", choice.name))
        names = {"outputs": "outputs", "targets": labels, "inputs": "inputs", "clean": "clean"}
        return f"{attribute_of(choice.name)}({', '.join([f'{n}={names[n]}' for n in asked] + _options(choice))})"
    smoothing = choice.options.get("label_smoothing")
    match choice.name:
        case "cross_entropy":
            more = f", label_smoothing={smoothing}" if smoothing else ""
            return f"F.cross_entropy(outputs, {labels}{more})"
        case "nll":
            return f"F.nll_loss(outputs, {labels})"
        case "mse":
            return f"F.mse_loss(outputs, F.one_hot({labels}, {len(leaving.class_names)}).to(outputs.dtype))"
        case _:
            return f"F.mse_loss(outputs, {'clean' if leaving.wants_clean else 'inputs'})"


def optimizer(leaving: Leaving) -> str:
    """Return the expression of the optimizer."""
    choice = leaving.experiment.training.optimizer
    options = dict(choice.options)
    frozen = any(not parameter.requires_grad for parameter in leaving.network.parameters())
    parameters = "[weight for weight in net.parameters() if weight.requires_grad]" if frozen else "net.parameters()"
    if own_code.is_own_code(choice.name):
        line = f"{attribute_of(choice.name)}({', '.join([f'parameters={parameters}', *_options(choice)])})"
        return line
    given: dict[str, Any] = {}
    if options.get("momentum"):
        given["momentum"] = options["momentum"]
    match choice.name:
        case "sgd":
            given |= {"nesterov": True} if options["nesterov"] else {}
        case "adam" | "adamw":
            betas = options["beta1"], options["beta2"]
            given |= {"betas": betas} if betas != (0.9, 0.999) else {}
        case "rmsprop":
            given |= {"alpha": options["smoothing"]} if options["smoothing"] != 0.99 else {}
    if options["weight_decay"] or choice.name == "adamw":
        given["weight_decay"] = options["weight_decay"]
    given |= {"fused": True} if choice.name != "rmsprop" else {}
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}[choice.name]
    line = f"torch.optim.{name}({parameters}, LEARNING_RATE, {call('', **given)[1:-1]})".replace(", )", ")")
    if len(line) < 80:
        return line
    opening = f"torch.optim.{name}("
    aligned = " " * len(f"optimizer = {opening}")
    return f"{opening}{parameters}, LEARNING_RATE,\n{aligned}{call('', **given)[1:-1]})"


def _options(choice: Choice) -> list[str]:
    return [f"{name}={literal(value)}" for name, value in choice.options.items()]


def batches(leaving: Leaving) -> str:
    """Return the generator `batches`."""
    plan, clean = leaving.experiment.data, leaving.wants_clean
    pair = "images, clean" if clean else "images"
    images = f"pixels[index]{'.float() / 255' if leaving.in_bytes and leaving.changes else ''}"
    if plan.expansion:
        lines = [f"{pair} = copies(pixels, index)"]
    elif plan.augmentations:
        lines = [f"images = {images}"]
    else:
        lines = [f"inputs = normalise({images})"]
    if plan.augmentations:
        given = "images, images" if clean and not plan.expansion else pair
        lines.append(f"{pair} = augment({given}, draws)")
    lines += ["inputs = normalise(images)"] if plan.expansion or plan.augmentations else []
    lines += ["clean = normalise(clean)" if plan.expansion or plan.augmentations else "clean = inputs"] if clean else []
    parts = ["inputs", *(["clean"] if clean else []), "labels[index]"]
    many = leaving.block > leaving.experiment.training.batch_size
    if many and len(parts) > 2:
        lines += [f"parts = {', '.join(parts)}", "yield from zip(*(part.split(BATCH_SIZE) for part in parts))"]
    elif many:
        lines.append("yield from zip(inputs.split(BATCH_SIZE), labels[index].split(BATCH_SIZE))")
    else:
        lines.append(f"yield {', '.join(parts)}")
    about = f"Yield ({', '.join([*parts[:-1], 'labels'])}) of an epoch" + (
        f"; {leaving.block} images are prepared at a time." if many else ", in an order of its own.")  # fmt: skip
    return code(
        """
        def batches(pixels, labels, seed, epoch):
            $about
            order = torch.randperm(len(labels), generator=generator(seed, epoch, "shuffle"))
            $draws
            for index in order.split($block):
                $lines
        """,
        about=docstring(about, 4), draws='draws = generator(seed, epoch, "augment")' if plan.augmentations else "",
        block=leaving.block if many else "BATCH_SIZE", lines="\n".join(lines),
    )  # fmt: skip


def loop(leaving: Leaving) -> str:
    """Return the function `train`: the loop."""
    plan, protocol = leaving.experiment.training, leaving.experiment.protocol
    factor, copies = schedule_call(leaving), leaving.experiment.data.copies
    reconstructs = leaving.reconstructs
    batch = "inputs, clean, targets" if leaving.wants_clean else "inputs, targets"
    batch = batch.replace("targets", "_") if reconstructs else batch
    rate = ""
    if factor:
        rate = f'for group in optimizer.param_groups:\n    group["lr"] = LEARNING_RATE * {factor}'
        if own_code.is_own_code(plan.optimizer.name):
            rate = f'for group, rate in zip(optimizer.param_groups, rates):\n    group["lr"] = rate * {factor}'
    masks = f"{MASKS}  # for dropout" if _draws(leaving) else ""
    once = _once_an_epoch(leaving)
    return code(
        '''
        def train(net, data, seed, last=None):
            """THE LOOP. Train for EPOCHS epochs, or `last` steps; return all losses and a row an epoch."""
            pixels, labels = data["train"]
            $labels
            optimizer = $optimizer
            $rates
            count = len(labels)
            $steps
            losses, rows = [], []
            $past
            for epoch in range(1, EPOCHS + 1):
                net.train()
                $masks
                total = $zero
                for $batch in batches(pixels, labels, seed, epoch):
                    $rate
                    outputs = net(inputs)
                    loss = $loss
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())
                    total += loss.item() * len(inputs)
                    $right
                    if len(losses) == last:
                        return losses, rows
                $row
                $once
                rows.append(row)
                print(", ".join(f"{name} {value:.4g}" for name, value in row.items()))
                $ends
            $best
            return losses, rows
        ''',
        labels=f"labels = labels.repeat({copies})  # of every copy" if copies > 1 else "",
        optimizer=optimizer(leaving),
        rates='rates = [group["lr"] for group in optimizer.param_groups]' if "zip(optimizer" in rate else "",
        steps=_steps(rate),
        past=_past(leaving), masks=masks, zero="0" if reconstructs else "right = 0", batch=batch, rate=rate,
        loss=loss(leaving), right="" if reconstructs else "right += (outputs.argmax(1) == targets).sum().item()",
        row=_row(leaving), once=once, ends=_ends(leaving),
        best="net.load_state_dict(best[1])  # the weights of the best epoch" if protocol.select == "best" else "",
    )  # fmt: skip


def _steps(rate: str) -> str:
    """Return the line that counts the steps, as far as the schedule asks for it."""
    each = "math.ceil(count / BATCH_SIZE)"
    if "steps_per_epoch" not in rate:
        return f"steps = EPOCHS * {each}" if re.search(r"\bsteps\b", rate) else ""
    lines = [f"steps_per_epoch = {each}"]
    lines += ["steps = EPOCHS * steps_per_epoch"] if re.search(r"\bsteps\b", rate.replace("steps=", "")) else []
    return "\n".join(lines)


def _draws(leaving: Leaving) -> bool:
    """Whether something inside the network draws random numbers while it trains."""
    from torch import nn

    readers = own_code.is_own_code(leaving.experiment.model.name)
    return readers or any(isinstance(layer, nn.Dropout) for layer in leaving.network.modules())


def _row(leaving: Leaving) -> str:
    last = leaving.experiment.protocol.train_loss_steps
    running = leaving.experiment.protocol.train_is_running
    parts = ['"epoch": epoch']
    if last and last < leaving.steps_per_epoch:
        parts.append(f'"train_loss": np.mean(losses[-{last}:])')
    elif running("loss"):
        parts.append('"train_loss": total / count')
    if running("accuracy") and not leaving.reconstructs:
        parts.append('"train_accuracy": right / count')
    line = f"row = {{{', '.join(parts)}}}"
    return line if len(line) < 88 else "row = {\n    " + ",\n    ".join(parts) + ",\n}"


def _once_an_epoch(leaving: Leaving) -> str:
    """Return the lines that look at what the protocol looks at."""
    protocol = leaving.experiment.protocol
    looked = {str(protocol.validate_on)} - {"none"} | ({"test"} if protocol.test_each_epoch else set())
    looked |= set() if protocol.train_metrics == "running" else {"train"}
    lines = []
    for name in sorted(looked):
        kinds = ["loss"] if leaving.reconstructs else ["loss", "accuracy"]
        targets = [f'row["{name}_{kind}"]' for kind in kinds]
        drawn = _drawn(leaving, name)
        value = f'evaluate(net, *data["{name}"]{drawn})'
        if name == "train" and protocol.train_metrics == "accuracy re-evaluated":
            targets, value = [f'row["{name}_accuracy"]'], f"{value}[1]"
        if name == protocol.validate_on == "test":
            lines.append("# The test images are watched, as was published: the figures may be too good.")
        lines.append(f"{', '.join(targets)} = {value}")
    return "\n".join(lines)


def _drawn(leaving: Leaving, name: str) -> str:
    """Return the argument by which a split is augmented when it is evaluated."""
    plan = leaving.experiment
    if not plan.data.augmentations or not (plan.protocol.augment == "all" or name == "train"):
        return ""
    epoch = "epoch" if name == "train" else "0"
    return f', generator(seed, {epoch}, "augment {name}")'


def _watched(leaving: Leaving) -> str:
    """Return the expression of what is compared between epochs: more is better."""
    on = leaving.experiment.protocol.validate_on
    return f'-row["{on}_loss"]' if leaving.reconstructs else f'row["{on}_accuracy"]'


def _past(leaving: Leaving) -> str:
    training, protocol = leaving.experiment.training, leaving.experiment.protocol
    lines = []
    if protocol.select == "best":
        lines.append("best = (-math.inf, None)  # the best validation figure, and the weights then")
    elif training.early_stopping:
        lines.append("best = (-math.inf,)")
    if training.early_stopping:
        lines.append("best_epoch = 0")
    if "watched" in schedule_call(leaving):
        lines.append("watched = []  # a loss for each epoch done")
    return "\n".join(lines)


def _ends(leaving: Leaving) -> str:
    training, protocol = leaving.experiment.training, leaving.experiment.protocol
    lines = []
    if protocol.select == "best" or training.early_stopping:
        kept = f"({_watched(leaving)}, copy.deepcopy(net.state_dict()))" if protocol.select == "best" else (
            f"({_watched(leaving)},)")  # fmt: skip
        lines += [f"if {_watched(leaving)} > best[0]:", f"    best = {kept}"]
        lines += ["    best_epoch = epoch"] if training.early_stopping else []
    if "watched" in schedule_call(leaving):
        on = protocol.validate_on
        lines.append(f'watched.append(row["{"train" if on == "none" else on}_loss"])')
    if training.early_stopping:
        lines += [f"if epoch - best_epoch >= {training.early_stopping.patience}:", "    break"]
    return "\n".join(lines)


def evaluation(leaving: Leaving) -> str:
    """Return the functions `answers` and `evaluate`."""
    scaled = ".float() / 255" if leaving.in_bytes and leaving.changes else ""
    plan = leaving.experiment
    changed = plan.protocol.augment == "all" or plan.protocol.train_metrics != "running"
    draws = changed and bool(plan.data.augmentations)
    what = "the reconstructed images" if leaving.reconstructs else "(count, classes)"
    if draws:
        pair, given = ("(part, _)", "part, part") if leaving.wants_clean else ("part", "part")
        first = code(
            '''
            @torch.no_grad()
            def answers(net, pixels, draws=None):
                """Return what the network says to images: $what. With `draws` they are augmented."""
                net.eval()
                outputs = []
                for part in pixels.split($size):
                    part = part$scaled
                    if draws:
                        $pair = augment($given, draws)
                    outputs.append(net(normalise(part)))
                return torch.cat(outputs)
            ''',
            what=what, size=EVALUATED, scaled=scaled, pair=pair, given=given,
        )  # fmt: skip
    else:
        first = code(
            '''
            @torch.no_grad()
            def answers(net, pixels):
                """Return what the network says to images: $what."""
                net.eval()
                return torch.cat([net(normalise(part$scaled)) for part in pixels.split($size)])
            ''',
            what=what, size=EVALUATED, scaled=scaled,
        )  # fmt: skip
    return f"{first}\n\n{_evaluate(leaving, draws, scaled)}"


def _evaluate(leaving: Leaving, draws: bool, scaled: str) -> str:
    more, given = (", draws=None", ", draws") if draws else ("", "")
    if leaving.reconstructs:
        return code(
            '''
            def evaluate(net, pixels, labels$more):
                """Return the mean loss, of images without noise."""
                outputs, $target = answers(net, pixels$given), normalise(pixels$scaled)
                return $loss.item()
            ''',
            more=more, given=given, target="clean" if leaving.wants_clean else "inputs", scaled=scaled,
            loss=loss(leaving),
        )  # fmt: skip
    return code(
        '''
        def evaluate(net, pixels, labels$more):
            """Return the mean loss and the accuracy, a fraction."""
            outputs = answers(net, pixels$given)
            accuracy = (outputs.argmax(1) == labels).double().mean().item()
            return $loss.item(), accuracy
        ''',
        more=more, given=given, loss=loss(leaving, "labels"),
    )  # fmt: skip
