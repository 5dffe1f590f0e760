# `make speed` and `make test` set up their own environment in .venv; nothing else is needed but Python 3.11 and pip.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: speed test check gpu browser frameworks format clean

speed: .venv/ready  ## the main job: time training steps of the six networks, ours beside PyTorch
	$(BIN)/mcnbench run training-speed

test: .venv/ready  ## all tests
	$(BIN)/python -m pytest -n 2

check: .venv/ready  ## style, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

CUDA ?= 13
gpu: .venv/ready  ## on a machine with an NVIDIA GPU: check cupy, check cudnn, time training steps, into one run file (CUDA=12 for older drivers)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,cuda$(CUDA)]'
	$(BIN)/mcnbench run gpu

browser: .venv/ready  ## Chromium and Playwright, for the test of the report's page; without them it is skipped
	command -v chromium || { apt-get update -qq && apt-get install --yes -qq --no-install-recommends chromium; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'

frameworks: .venv/ready  ## JAX, ONNX Runtime, OpenVINO, TensorFlow, to compare with; without them their tests are skipped
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,frameworks]'

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,numba]'
	$(BIN)/python -c 'import impl.numpy_cpu'  # compiles its loops, which are kept
	touch $@

clean:
	rm -rf .venv build dist
