# What tests/package/run sources: other Debians in folders, and the package as one of them builds it.
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

# pack_in FOLDER SUITE: docker/deb/build in the Debian of that folder, whose build folder is
# build/package-SUITE here. Prints the package's path.
pack_in() {
  local folder=$1 build=$PWD/build/package-$2
  mkdir -p "$build" "$folder/root/lockstep"
  reach_network "$folder" || return 1
  unshare --mount --propagation private bash -c 'set -e
    tree=$1/root/lockstep
    mount --bind . "$tree"
    mount --bind "$2" "$tree/build"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root npm_config_cafile=/etc/ssl/host.crt \
      chroot "$1" /root/lockstep/docker/deb/build' pack "$folder" "$build" >/dev/null || return 1
  printf '%s\n' "$build"/release/lockstep_*.deb
}
