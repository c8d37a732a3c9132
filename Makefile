# Sets up by itself: each target makes the environment it needs from pyproject.toml and constraints.txt.

PYTHON ?= python3.11
VENV := .venv
VENV_ALL := .venv-all
CPU_EXTRAS := test,dev,parity,interrogator,seqio,t2i,ct2,ray,page,croissant,classifier
DEMO := demo_out
PE := $(VENV)/bin/pe
QUERIES := "a cat" "a red fox" "two boats" "a castle at night" "a robot" "a lighthouse in a storm"

# no telemetry from any library
export RAY_USAGE_STATS_ENABLED = 0
export GRADIO_ANALYTICS_ENABLED = False
export HF_HUB_DISABLE_TELEMETRY = 1
export DO_NOT_TRACK = 1

.PHONY: demo test test-all lint clean

demo: $(VENV)/.installed
	$(PE) gallery --num_images 4000 --gin.GalleryConfig.size=128 --out $(DEMO)/gallery
	$(PE) build $(DEMO)/gallery/images --gin_file gin/builders/studio.gin --out $(DEMO)/data
	$(PE) train --gin_file gin/runs/studio.gin --data $(DEMO)/data --out $(DEMO)/run
	$(PE) probe --gin_file gin/probe/studio.gin --out $(DEMO)/probe > $(DEMO)/probe.txt
	$(PE) refine --gin_file gin/refine/studio_probed.gin --gin.PROBE=$(DEMO)/probe/probe.jsonl --model $(DEMO)/run \
	  --data $(DEMO)/data --limit 250 --out $(DEMO)/refined
	$(PE) expand $(QUERIES) --model $(DEMO)/run -n 4 --json > $(DEMO)/base.jsonl
	$(PE) expand $(QUERIES) --model $(DEMO)/refined/round1/run --prefix RFT -n 4 --json > $(DEMO)/refined.jsonl
	$(PE) page $(DEMO)/base.jsonl $(DEMO)/refined.jsonl --names "Base" "Re-fine-tuned" --out $(DEMO)/page.html

test: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu and not network and not torch and not seqio"

test-all: $(VENV_ALL)/.installed
	$(VENV_ALL)/bin/python -m pytest -n 2 -m "not gpu and not network"

lint: $(VENV_ALL)/.installed
	$(VENV_ALL)/bin/ruff format --check .
	$(VENV_ALL)/bin/ruff check .
	$(VENV_ALL)/bin/basedpyright --pythonpath $(VENV_ALL)/bin/python

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@ $(VENV)/.installed

$(VENV_ALL)/bin/python:
	$(PYTHON) -m venv $(VENV_ALL)

$(VENV_ALL)/.installed: pyproject.toml constraints.txt | $(VENV_ALL)/bin/python
	$(VENV_ALL)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(CPU_EXTRAS)]"
	touch $@

clean:
	rm -rf $(DEMO) $(VENV) $(VENV_ALL)
