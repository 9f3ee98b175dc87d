PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup app test demo lint format freeze third-party clean-data

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## Make .venv, install the dependencies, put the default models in models/
	@$(PYTHON) scripts/setup.py

app: setup ## Open the app (PORT=8501)
	@$(BIN)/nexus app --port $(PORT)

demo: setup ## Run the main job on a sample document, without the app
	@$(BIN)/python scripts/demo.py

test: setup lint ## Set up, check, and run the whole test suite
	@$(BIN)/python -m pytest -q --durations=15

lint: ## Check style, types, the direction of imports and the Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile.cuda

format: ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

freeze: ## Write the installed versions to constraints.txt, and the licences to THIRD_PARTY.md
	@$(BIN)/python scripts/freeze.py
	@$(BIN)/python scripts/third_party.py

clean-data: ## Delete everything that the app has stored in data/ (asks first)
	@printf 'Delete all documents, FAQs, adapters, conversations and leads in data/? The samples stay. [y/N] ' && read answer && [ "$$answer" = y ]
	@find data -mindepth 1 -maxdepth 1 ! -name samples -exec rm -rf {} +
	@echo Done.
