#!/usr/bin/env bash
# The tour of the README from an installed wheel, as a user who may not write into the package, in a folder with a space
# and umlauts, with LC_ALL=C. Prints each command, its exit code and its last lines. As root:
#
#   python3 -m venv /tmp/wv && pip wheel --no-deps -w /tmp/whl . && /tmp/wv/bin/pip install -c constraints.txt "$(ls /tmp/whl/*.whl)[ui]"
#   mkdir -p "/tmp/tour/Mein Ordner für Zoë" && chown -R nobody /tmp/tour
#   setpriv --reuid nobody --regid nogroup --clear-groups bash tests/wheel_tour.sh /tmp/wv /tmp/tour
set -u
if [ $# != 2 ] || [ ! -x "$1/bin/classlab" ]; then
    echo "give the environment that the wheel is installed in, and a folder: wheel_tour.sh /tmp/wv /tmp/tour" >&2
    exit 2
fi
export HOME="$2" LC_ALL=C PATH="$1/bin:/usr/bin:/bin"
unset LANG PYTHONPATH
cd "$HOME/Mein Ordner für Zoë" || exit 1
t() { echo "== $*"; "$@" > out.txt 2>&1; echo "rc $?"; tail -n 2 out.txt; }
t classlab --version
t classlab run digits-quick --report --pdf
t classlab inspect era-s6
t classlab list
t classlab runs
t classlab compare latest latest
t classlab study cifar-learning-rate --dry-run
t classlab check latest --contract under-20k
t classlab lesson walk
t classlab data show digits
t classlab doctor
python - <<'P'
from PIL import Image, ImageDraw
i=Image.new("RGB",(200,200),(240,240,235)); ImageDraw.Draw(i).line([(50,50),(150,50),(90,160)],fill=(20,20,30),width=14); i.save("sieben ü.png")
P
t classlab predict latest "sieben ü.png" --explain "warum ü.png"
t classlab export latest --to safetensors
t classlab export latest --to onnx
t classlab report latest --pdf
t classlab reproduce prml-pa6 --dry-run
t classlab run mnist-quick --set training.epochs=1 --set 'contract={}'
