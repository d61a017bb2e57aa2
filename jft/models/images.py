"""What every model of images checks of its inputs."""

from jft.errors import UserError


def check_images(family: str, shape: tuple[int, ...], channels: int) -> None:
  """Checks that a batch of images has the shape that a model reads.

  Args:
    family: for the message, such as "ResNet".
    shape: of the batch.
    channels: that the model was made for.

  Raises:
    UserError: if it has another rank or number of channels.
  """
  if len(shape) != 4 or shape[-1] != channels:
    raise UserError(
      f"{family} expects images of shape [b h w {channels}], got"
      f" {list(shape)}; change the images or the config's in_channels."
    )
