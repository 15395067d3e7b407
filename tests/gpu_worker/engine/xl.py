"""A real but tiny Stable Diffusion XL pipeline with random weights."""

from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.gpu_worker.engine.conftest import LENGTH, tiny_pipeline, tiny_tokenizer

WIDTHS, WHOLE = (16, 24), 20
"""Of the two text encoders, and of what the second one says of a whole prompt."""


def tiny_sdxl(*, zeros_for_empty: bool = True, whole: int = WHOLE) -> StableDiffusionXLPipeline:
    small = tiny_pipeline()
    tokenizer_2 = tiny_tokenizer()
    tokenizer_2.pad_token = "a"  # of the vocabulary, as "!" is of CLIP's: the letter, not the word
    first, second = (
        CLIPTextConfig(
            vocab_size=len(tokenizer_2),
            hidden_size=width,
            intermediate_size=24,
            num_hidden_layers=layers,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            projection_dim=whole,
            hidden_act=act,
            bos_token_id=tokenizer_2.bos_token_id,
            eos_token_id=tokenizer_2.eos_token_id,
        )
        for width, layers, act in zip(WIDTHS, (2, 3), ("quick_gelu", "gelu"), strict=True)
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        cross_attention_dim=sum(WIDTHS),
        attention_head_dim=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=whole + 6 * 8,
    )
    return StableDiffusionXLPipeline(
        vae=small.vae,
        text_encoder=CLIPTextModel(first),
        text_encoder_2=CLIPTextModelWithProjection(second),
        tokenizer=small.tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        force_zeros_for_empty_prompt=zeros_for_empty,
        add_watermarker=False,
    )


LAYER_OF_SGM = {
    "input_blocks_3_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "middle_block_1_transformer_blocks_1_attn2_to_k": "mid_block.attentions.0.transformer_blocks.1.attn2.to_k",
    "output_blocks_1_1_proj_in": "up_blocks.0.attentions.1.proj_in",
}
"""Some of the U-Net's layers by the names of the original code, in which LoRAs for the family often come."""
