.PHONY: setup check
setup:
	@test -x node_modules/.bin/node || npm ci --ignore-scripts --no-audit --no-fund
check: setup
	npm run check
