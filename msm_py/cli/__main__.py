"""``python -m msm_py.cli``: what ``msm`` does, where no PATH leads to it."""

from msm_py.cli.app import main

main()
