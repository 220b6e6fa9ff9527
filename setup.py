"""The C of color/kernel.c, compiled if there is a compiler; all else is in pyproject.toml.

Without one, or where it fails, Chromascape is installed all the same and computes by NumPy.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "chromascape.color._kernel",
            ["src/chromascape/color/kernel.c"],
            # A product and a sum rounded as one would make a pixel depend on its place in a row. MSVC never does so,
            # and skips options that it doesn't know.
            extra_compile_args=["-O3", "-ffp-contract=off", "-fno-trapping-math"],
            py_limited_api=True,  # it has no use for Python, so that one serves all versions
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
