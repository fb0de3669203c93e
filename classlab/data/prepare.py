"""From an experiment's data section to the images it means."""

from classlab.data.dataset import Dataset
from classlab.data.subset import subset
from classlab.experiment import Data


def prepare(plan: Data) -> Dataset:
    """Return the dataset that the section names, cut down to the classes and numbers of images that it asks for.

    Raises UserError.
    """
    dataset = plan.dataset.call("dataset")
    return subset(dataset, plan.classes, plan.labels, plan.max_per_class, plan.max_test_per_class)
