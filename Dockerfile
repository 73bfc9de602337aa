# Tidegate's image: the release binary on Debian 12, and what it links. Built by the scripts that build it anywhere else.
#   docker build -t tidegate:0.1.0 .
#   docker run -p 6379:6379 tidegate:0.1.0 /etc/tidegate/image.yaml --requirepass SECRET
FROM debian:12-slim AS build
COPY scripts/ /src/scripts/
RUN /src/scripts/dev packages
COPY . /src
ARG TIDEGATE_JOBS=""
RUN /src/scripts/dev package && mv /src/build/release/tidegate_*.deb /tidegate.deb

FROM debian:12-slim
# The package's own dependencies, its program and page of the manual; not its service, which is systemd's.
RUN --mount=type=bind,from=build,source=/tidegate.deb,target=/tidegate.deb \
    apt-get update && apt-get install -y --no-install-recommends /tidegate.deb \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
    && install -d -o 10001 -g 10001 -m 0750 /data
COPY packaging/image.yaml /etc/tidegate/image.yaml
WORKDIR /data
USER 10001:10001
EXPOSE 6379 9901
VOLUME /data
# SIGTERM drains: connections end when their replies are sent, within shutdown-timeout (10 s).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9901 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["tidegate"]
CMD ["/etc/tidegate/image.yaml"]
