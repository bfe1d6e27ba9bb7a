# What tests/package/run and tests/aarch64/server source: other Debians in folders.
# REQUIRES: root, and to be at the root of the project. DEBIAN_MIRROR names another mirror than
# deb.debian.org.

# make_debian SUITE FOLDER PACKAGE,...: by debootstrap, with these beside the least, unless it is there.
make_debian() {
  local suite=$1 folder=$2 packages=$3
  [[ ! -d $folder ]] || return 0
  echo "-- making a Debian $suite with debootstrap" >&2
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder.part"
  debootstrap --variant=minbase --include="$packages" "$suite" "$folder.part" \
    "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$folder.log" || {
    tail "$folder.log" >&2
    return 1
  }
  mv "$folder.part" "$folder"
}

# reach_network FOLDER: apt and npm reach their servers from there as they do from here.
reach_network() {
  cp /etc/resolv.conf "$1/etc/resolv.conf"
  apt-config dump | grep -E '^Acquire::(http|https|Check)' >"$1/etc/apt/apt.conf.d/90host" || true
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/host.crt"
}

# in_debian FOLDER BUILD COMMAND...: the command in the Debian of that folder, where the project is at
# /root/lockstep, with the folder BUILD of this machine as its build/. BUILD is made if it is missing.
in_debian() {
  mkdir -p "$1/root/lockstep" "$2" || return 1
  reach_network "$1" || return 1
  unshare --mount --propagation private bash -c 'set -e
    folder=$1 build=$2
    shift 2
    mount --bind . "$folder/root/lockstep"
    mount --bind "$build" "$folder/root/lockstep/build"
    mount -t proc proc "$folder/proc"
    mount --rbind /dev "$folder/dev"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root npm_config_cafile=/etc/ssl/host.crt \
      chroot "$folder" "$@"' in_debian "$@"
}
