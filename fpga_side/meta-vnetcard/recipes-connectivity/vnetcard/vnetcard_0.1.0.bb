SUMMARY = "A network card made of shared memory: the card's agent"
DESCRIPTION = "Gives this computer an ordinary network interface to the one with which it shares memory over PCIe."
SECTION = "net"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=d3e12d615678da373ce788052e554806"
CVE_PRODUCT = "vnetcard"

# The source archive of a release, which `make dist` writes; put it into files/ beside this recipe, or set the URI.
VNETCARD_URI ?= "file://vnetcard-${PV}.tar.gz"
SRC_URI = "${VNETCARD_URI}"

inherit python_setuptools_build_meta systemd useradd

# Releases before whinlatter have setuptools without PEP 639.
do_configure:prepend() {
    sed -i -e 's/^license = "\(.*\)"$/license = { text = "\1" }/' -e '/^license-files = /d' \
        -e 's/"setuptools>=77"/"setuptools"/' ${S}/pyproject.toml
}

# What `vnetcard install-units --side fpga` would install.
do_install:append() {
    install -d ${D}${systemd_system_unitdir} ${D}${sysconfdir}/vnetcard ${D}${nonarch_base_libdir}/udev/rules.d
    install -d ${D}${systemd_unitdir}/network
    sed 's|@bin@|${bindir}|' ${S}/fpga_side/vnetcard-fpga.service > ${D}${systemd_system_unitdir}/vnetcard-fpga.service
    chmod 0644 ${D}${systemd_system_unitdir}/vnetcard-fpga.service
    install -m 0644 ${S}/fpga_side/vnetcard-fpga.toml ${D}${sysconfdir}/vnetcard/fpga.toml
    install -m 0644 ${S}/vnetcard/agent/units/60-vnetcard.rules ${D}${nonarch_base_libdir}/udev/rules.d/
    install -m 0644 ${S}/vnetcard/agent/units/70-vnetcard.link ${D}${systemd_unitdir}/network/
}

FILES:${PN} += "${systemd_system_unitdir} ${systemd_unitdir}/network ${nonarch_base_libdir}/udev/rules.d"
CONFFILES:${PN} = "${sysconfdir}/vnetcard/fpga.toml"

RDEPENDS:${PN} = "python3-modules python3-posix-ipc python3-pyroute2"
RRECOMMENDS:${PN} = "kernel-module-tun kernel-module-uio-pdrv-genirq"

SYSTEMD_SERVICE:${PN} = "vnetcard-fpga.service"

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir / --shell /sbin/nologin vnetcard"
