"""Class lists that somebody sent: CSV with odd cells, quotes, encodings and sizes."""

import csv
import io
from random import Random

from tests.hostile import attacks, commands, damage, rules
from tests.hostile.case import UNDAMAGED, Case, World, often

CLASS = (
    "born,roll,first,last,programme\n18/03/02,B20AI052,Ada,Lovelace,B.Tech\n19/04/03,B20AI053,Alan,Turing,B.Tech\n"
    "20/05/01,B20AI054,Grace,Hopper,M.Tech\n"
)


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged class list."""
    text, note = damage.table(CLASS, random, lambda: attacks.odd(world, random, named_code=False))
    if often(random, 3):
        text, note = CLASS, UNDAMAGED
    elif often(random, 25):
        text, note = _whole_text(world, random)
    elif often(random, 30):
        text, note = _names(world, random)
    elif often(random, 20):
        text, more = damage.table(text, random, lambda: attacks.odd_text(world, random))
        note += f"; {more}"
    file = world.sent / random.choice(
        ["class.csv"] * 8 + ["a b.csv", "[bold].csv", "x\x1b[2J.csv", "class", "class.csv.gz", "é.csv"]
    )
    if note == UNDAMAGED:
        file.write_text(text)
    elif often(random, 5):
        file.touch()
        note = damage.stand_in(world, file, random)
    else:
        content = text.encode(random.choice(["utf-8"] * 9 + ["utf-16"]), errors="surrogatepass")
        if often(random, 6):
            content, more = damage.flip(content, random)
            note += f"; {more}"
        file.write_bytes(content)
    (world.work / "rules.yaml").write_text(damage.written(rules.SMALL))
    path = commands.placed(world, file, "work")
    words = [
        "assign",
        random.choice(["rules.yaml", "rules.yaml", "dl-minor-1"]),
        "--class-list",
        path,
        "--out",
        "tasks",
        *damage.maybe(random, 25, "--json"),
    ]
    if note != UNDAMAGED and often(random, 12):
        (world.work / "tasks").mkdir()
        table = world.work / "tasks" / "tasks.csv"
        table.write_text(
            random.choice(
                ["roll,task\nB20AI052,0\n", "", "roll\nx\n", "\0", text[:100_000].encode(errors="replace").decode()]
            )
        )
        note += "; a table is there"
    return Case(
        words,
        note,
        "work",
        ["work/tasks", "work/tasks/*"],
        encoding=commands.encoding(random),
        whole=commands.whole(random, note),
        seconds=8.0,
    )


def _names(world: World, random: Random) -> tuple[str, str]:
    """Return a class list that is right but for its students' names."""
    table = io.StringIO()
    writer = csv.writer(table, delimiter=random.choice(",;"), quoting=csv.QUOTE_ALL)
    columns = ["born", "roll", "first", *random.sample(["last", "programme"], random.randint(0, 2))]
    writer.writerow(columns)
    for number in range(random.choice([1, 3, 12])):
        names = [attacks.odd_text(world, random)[:2000].replace("\0", "") or "x" for _ in columns[2:]]
        writer.writerow([f"{number + 1:02d}/03/02", f"B20AI{number:03d}", *names])
    return table.getvalue(), "odd names"


def _whole_text(world: World, random: Random) -> tuple[str, str]:
    """Return a text that is no class list, or a strange one."""
    head, row = "born,roll\n", "18/03/02,B20AI052\n"
    texts = {
        "one quote": f'{head}"{row}' + row * 3,
        "a long cell": f"{head}18/03/02,{'B' * 200_000}\n",
        "an open quote to the end": f'{head}18/03/02,"{row * 2000}',
        "many bad rows": head + "x,y\n" * 20_000,
        "the same roll": head + row * 20_000,
        "many columns": ",".join(["born", "roll"] * 5000) + "\n" + row,
        "odd header": f"{attacks.odd_text(world, random)},roll\n{row}",
        "empty": "",
        "blank": "\n" * 10_000,
        "header alone": head,
        "commas": "," * 200_000,
        "quotes": '"' * 100_001,
        "null": head + "18/03/02,\0\n",
        "semicolons": head.replace(",", ";") + row.replace(",", ";"),
        "odd dates": head
        + "".join(
            f"{date},R{number}\n"
            for number, date in enumerate(["29/02/01", "00/00/00", "١٨/٠٣/٠٢", "18-03-02", "1e3/1/1", "=1+1"])
        ),
        "odd roll": f"{head}18/03/02,{attacks.odd_text(world, random)}\n",
        "html": "<table><tr><td>born</td></tr></table>",
        "a long line": head + "x" * 4_900_000,
        "carriage": head.replace("\n", "\r") + row,
        "six megabytes": head + row * 340_000,
        "formula": head + "18/03/02,=cmd|' /C calc'!A0\n",
    }
    name = random.choice(list(texts))
    return texts[name], name
