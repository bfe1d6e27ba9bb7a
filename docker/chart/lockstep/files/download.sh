# FILE is there whole, with this SHA256, or not at all. A download that was cut goes on.
right() { printf '%s  %s\n' "$SHA256" "$1" | sha256sum -c >/dev/null 2>&1; }
if right "$FILE"; then
  echo "$FILE is there"
  exit 0
fi
mkdir -p "$(dirname "$FILE")"
part="$FILE.$SHA256.part"
tries=0
until right "$part" ||
  curl --fail --location --silent --show-error --continue-at - --output "$part" "$URL"; do
  tries=$((tries + 1))
  if [ "$tries" = 6 ]; then
    echo "$URL cannot be fetched; another start of this container goes on with it" >&2
    exit 1
  fi
  sleep "$tries"
done
if ! right "$part"; then
  echo "$URL has another SHA-256 than $SHA256: $(sha256sum "$part")" >&2
  rm -f "$part"
  exit 1
fi
mv "$part" "$FILE"
echo "$FILE was fetched"
