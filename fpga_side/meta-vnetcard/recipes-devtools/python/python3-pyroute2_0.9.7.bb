SUMMARY = "Netlink library in Python"
DESCRIPTION = "The agent creates and configures its interface by it, and follows its state."
HOMEPAGE = "https://pyroute2.org"
BUGTRACKER = "https://github.com/svinota/pyroute2/issues"
SECTION = "devel/python"
LICENSE = "GPL-2.0-or-later | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE.Apache-2.0;md5=34281e312165f843a2b7d1f114fe65ce \
    file://LICENSE.GPL-2.0-or-later;md5=b234ee4d69f5fce4486a80fdaf4a4263 \
"
CVE_PRODUCT = "pyroute2"

SRC_URI[sha256sum] = "a678b098478c46ec51d6bf9a03c3cd2ac0172dffa590e9e8c1eeab633d0c17c6"

inherit pypi python_setuptools_build_meta

# Releases before whinlatter have setuptools without PEP 639.
do_configure:prepend() {
    sed -i -e 's/^license = "\(.*\)"$/license = { text = "\1" }/' -e '/^license-files = /d' ${S}/pyproject.toml
}

RDEPENDS:${PN} = "python3-modules"
