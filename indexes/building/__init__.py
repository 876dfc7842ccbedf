"""The stages of a build, each of which goes on after the last part that it finished."""
