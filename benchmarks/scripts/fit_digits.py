"""glassnet on scikit-learn's digits with its defaults: a fifth of the rows to test."""

import glassnet

run = glassnet.fit("digits")
print(run.test["accuracy"])
