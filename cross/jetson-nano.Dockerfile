# What `cross` builds honed in for a Jetson Nano: Ubuntu 18.04 as in JetPack 4.6, glibc 2.27, GStreamer 1.14.
FROM ubuntu:18.04@sha256:152dc042452c496007f07ca9127571cb9c29697f42acbfad72324b2bb2e43c98

# Ubuntu keeps arm64 packages on another server than amd64's.
RUN sed -i 's/^deb /deb [arch=amd64] /' /etc/apt/sources.list \
 && for suite in bionic bionic-updates bionic-security; do \
      echo "deb [arch=arm64] http://ports.ubuntu.com/ubuntu-ports $suite main universe"; \
    done >/etc/apt/sources.list.d/arm64.list \
 && dpkg --add-architecture arm64 \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --assume-yes --no-install-recommends \
      gcc libc6-dev gcc-8-aarch64-linux-gnu libc6-dev-arm64-cross pkg-config ca-certificates \
      libgstreamer1.0-dev:arm64 libgstreamer-plugins-base1.0-dev:arm64 libgstrtspserver-1.0-dev:arm64 \
 && rm -rf /var/lib/apt/lists/*

ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc-8 \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc-8 \
    PKG_CONFIG_ALLOW_CROSS=1 \
    PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
