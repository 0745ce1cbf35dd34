"""What the page asks for, as actions of the desk."""

from __future__ import annotations

from bunraku.errors import UserInputError
from bunraku.formats import control_action as actions
from bunraku.serving import messages
from bunraku.serving.effect_schema import check_visitor_settings
from bunraku.session.control.desk import ControlDesk


def actions_of(message: messages.AnyMessage, desk: ControlDesk) -> list[actions.Action]:
    """To be done one after the other; none for what is not the desk's. Raises UserInputError."""
    match message:
        case messages.SetEffects():
            return [actions.Arrange(tuple(placed(one) for one in message.effects))]
        case messages.ChangeEffect():
            check_visitor_settings(effect_named(message.name, desk), message.settings)
            return [
                actions.SetValue(actions.Target(message.name, setting), value)
                for setting, value in message.settings.items()
            ]
        case messages.SetVoice():
            return [actions.ChooseVoice(message.model, tuple(message.effects))]
        case messages.ChoosePreset():
            return [actions.ChoosePreset(message.name)]
        case messages.Mute():
            return [actions.Mute("on" if message.on else "off")]
        case messages.Record():
            return [actions.Record("on" if message.on else "off")]
    return []


def placed(wanted: messages.WantedEffect) -> actions.PlacedEffect:
    check_visitor_settings(wanted.effect, wanted.settings)
    return actions.PlacedEffect(wanted.effect, wanted.settings, wanted.kept, wanted.on)


def effect_named(name: str, desk: ControlDesk) -> str:
    for slot in desk.state().effects:
        if slot.name == name:
            return slot.effect.type
    raise UserInputError(f"no effect here is named '{name[:60]}'")
