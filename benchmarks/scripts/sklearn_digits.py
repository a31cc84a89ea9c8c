"""scikit-learn on its digits with its defaults: a fifth of the rows to test."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
model = make_pipeline(StandardScaler(), MLPClassifier(random_state=0)).fit(x_train, y_train)
print(model.score(x_test, y_test))
