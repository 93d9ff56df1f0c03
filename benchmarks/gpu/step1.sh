# Measures steps and latencies on a GPU by eml_models alone, while Ray is unpacked and the images are decoded.
#
# Run it in the project's root on a machine with one GPU. OUT is the folder for results. .gpu/ray holds Ray as a
# wheel, .gpu/data the packed images with their decoder, .gpu/kit this folder. PARTS and LAT (seconds) choose.
set -u
mkdir -p "$HOME/data" "$HOME/site"
nvidia-smi > "$OUT/smi.txt"
nproc >> "$OUT/smi.txt"
(
  python3 -m pip install -q --no-index --no-deps --no-compile --target "$HOME/site" .gpu/ray/*.whl
  python3 .gpu/data/load_cifar10_jpeg75.py .gpu/data/cifar10_jpeg75.npz "$HOME/data/cifar10_jpeg75_arrays.npz"
  ls -la "$HOME/data"
) > "$OUT/side.txt" 2>&1 &
side=$!
export PYTHONUNBUFFERED=1 PYTHONPATH=$PWD
timeout "${TRAIN:-130}" python3 .gpu/kit/train.py cuda ${PARTS:-} > "$OUT/train.txt" 2> "$OUT/train.err"
echo "train rc $?" >> "$OUT/train.txt"
timeout "${LAT:-150}" python3 .gpu/kit/lat.py cuda > "$OUT/lat.txt" 2> "$OUT/lat.err"
echo "lat rc $?" >> "$OUT/lat.txt"
wait $side
tail -n 5 "$OUT/train.err" "$OUT/lat.err"
cat "$OUT/side.txt" "$OUT/train.txt"
cut -c1-200 "$OUT/lat.txt"
