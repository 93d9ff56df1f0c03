# Runs a study, finalists and the GPU tests through Ray on a GPU; on the same machine, at once after step1.sh.
#
# .gpu/deps holds the packages that the machine lacks, as wheels. EPOCHS and FINAL (seconds) choose how long the
# finalists train.
set -u
python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$HOME/site" .gpu/deps/*.whl
export PYTHONUNBUFFERED=1 PYTHONPATH=$HOME/site:$PWD
data=$HOME/data store=$HOME/trials run="python3 -m tune_jobs" began=$SECONDS
cp .gpu/kit/jpeg_studies.py jpeg_studies.py
t() { echo "== $((SECONDS - began)) s: $*"; }

timeout -s INT 110 $run run jpeg_studies.py:macs30 --store "$store" --data-dir "$data" \
  --trials 16 --epochs 1 --no-asha --gpus-per-trial auto > "$OUT/macs.txt" 2>&1
rc=$?
t "16 networks, one epoch: rc $rc"
if [ $rc -ne 0 ]; then # what came of it is shown; the share is not measured this time
  timeout -s INT 80 $run run jpeg_studies.py:macs30 --store "$store" --data-dir "$data" --name macs30-eighth \
    --trials 16 --epochs 1 --no-asha --gpus-per-trial 0.125 > "$OUT/macs8.txt" 2>&1
  t "the same on eighths: rc $?"
  $run show macs30-eighth --store "$store" > "$OUT/show8.txt" 2>&1
fi
$run show macs30 --store "$store" > "$OUT/show.txt" 2>&1
$run query --store "$store" "select * from events" --format csv > "$OUT/events.csv" 2>&1
$run query --store "$store" "select * from reports" --format csv > "$OUT/reports.csv" 2>&1
t "shown"

(
  timeout 150 python3 -m pytest tests -m gpu -n 6 -q --maxfail=12 -k 'not (whole or max)' -p no:cacheprovider \
    > "$OUT/tests.txt" 2>&1
  echo "tests rc $?" >> "$OUT/tests.txt"
) &
side=$!
timeout -s INT 60 $run run jpeg_studies.py:resnet --store "$store" --data-dir "$data" --gpus-per-trial 0.3 \
  > "$OUT/resnet.txt" 2>&1
t "one ResNet-18, one epoch: rc $?"
recipe=optimizer=nesterov,learning_rate=0.2,weight_decay=5e-4,schedule=linear,warmup_fraction=0.2
timeout -s INT "${FINAL:-150}" $run finalists jpeg_studies.py:resnet --store "$store" --data-dir "$data" \
  --top 1 --repeats 3 --epochs "${EPOCHS:-20}" --gpus-per-trial 0.16 \
  --baseline "mobilenet:width_mult=0.525,$recipe" > "$OUT/final.txt" 2>&1
t "finalists: rc $?"
$run query --store "$store" "select * from trials" --format csv > "$OUT/trials.csv" 2>&1
wait $side
t "done"
tail -n 12 "$OUT/macs.txt" "$OUT/final.txt" "$OUT/tests.txt"
cat "$OUT/show.txt"
